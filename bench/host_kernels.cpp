// How fast the host's linear and attention kernels are on this machine: decode
// as a fraction of the read bandwidth that a plain sum reaches in the same run,
// prefill in GOP/s. Usage: host_kernels [THREADS] [FILTER]; FILTER is a part of
// a name.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/AttentionGradient.h"
#include "runtime/host/CachedAttention.h"
#include "runtime/host/Linear.h"
#include "runtime/host/QuantizedActivations.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>

using namespace qopt;
using namespace qopt::host;

namespace {

struct FreeMemory {
  void operator()(void *memory) const { std::free(memory); }
};
using Memory = std::unique_ptr<void, FreeMemory>;

Memory allocate(int64_t bytes) {
  Memory memory(std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096));
  std::memset(memory.get(), 0, bytes);
  return memory;
}

/// The same numbers in every run.
uint32_t nextRandom(uint32_t &state) {
  state = state * 1664525u + 1013904223u;
  return state >> 8;
}

Memory randomFloats(int64_t count) {
  Memory memory = allocate(count * 4);
  uint32_t state = 1;
  for (int64_t i = 0; i < count; ++i)
    static_cast<float *>(memory.get())[i] =
        static_cast<float>(nextRandom(state) % 2001) / 1000.0f - 1;
  return memory;
}

/// Seconds of one call: the best of many rounds of at least 2 ms, short so that
/// some of them have the processor to themselves.
double secondsOf(const std::function<void()> &call) {
  using Clock = std::chrono::steady_clock;
  double best = 1e9;
  int64_t calls = 1;
  for (int round = 0; round < 50;) {
    auto start = Clock::now();
    for (int64_t i = 0; i < calls; ++i)
      call();
    double seconds =
        std::chrono::duration<double>(Clock::now() - start).count();
    if (seconds < 0.002) {
      calls *= 2;
      continue;
    }
    best = std::min(best, seconds / static_cast<double>(calls));
    ++round;
  }
  return best;
}

/// Bytes per second of a plain sum over `bytes` bytes.
double readBandwidth(const void *memory, int64_t bytes, ThreadPool &pool) {
  const uint64_t *words = static_cast<const uint64_t *>(memory);
  std::atomic<uint64_t> sink{0};
  double seconds = secondsOf([&] {
    pool.parallelFor(bytes / 64, 1, [&](int64_t begin, int64_t end) {
      uint64_t sums[8] = {};
      for (int64_t i = begin * 8; i < end * 8; i += 8)
        for (int64_t j = 0; j < 8; ++j)
          sums[j] += words[i + j];
      sink += sums[0] + sums[1] + sums[2] + sums[3] + sums[4] + sums[5] +
              sums[6] + sums[7];
    });
  });
  return static_cast<double>(bytes) / seconds;
}

/// One weight with random bytes, many copies of which are streamed in turn
/// where `copies` is above one, so that none is found in a cache.
struct Weight {
  Weight(const std::string &format, int64_t n, int64_t k, int64_t copies)
      : layout(*linearLayout(*quant::parseFormat(format), n, k)),
        copies(copies), memory(allocate(layout.packedBytes() * copies)) {
    uint32_t state = 1;
    uint8_t *bytes = static_cast<uint8_t *>(memory.get());
    for (int64_t i = 0; i < layout.packedBytes(); ++i)
      bytes[i] = static_cast<uint8_t>(nextRandom(state));
    // Scales and values of moderate size: clear the top exponent bits.
    for (int64_t i = 1; i < layout.packedBytes(); i += 2)
      if (layout.isFloat() || i % layout.tileBytes() >= layout.scaleOffset())
        bytes[i] = (bytes[i] & 0x8f) | 0x20;
    for (int64_t c = 1; c < copies; ++c)
      std::memcpy(bytes + c * layout.packedBytes(), bytes,
                  layout.packedBytes());
  }
  const void *copy(int64_t i) const {
    return static_cast<const uint8_t *>(memory.get()) +
           i % copies * layout.packedBytes();
  }

  LinearLayout layout;
  int64_t copies;
  Memory memory;
};

struct Shape {
  const char *name;
  int64_t n, k;
};

/// How x comes: in f32, or in codes.
struct Reads {
  const char *name = "f32";
  bool hasCodes = false;
  ActivationCodes codes = ActivationCodes::Int8Blocks;
};
constexpr Reads f32Reads, int8Reads{"int8", true},
    int8RowReads{"int8-row", true, ActivationCodes::Int8Rows},
    fp8RowReads{"fp8-row", true, ActivationCodes::Fp8Rows};

/// Times one linear layer.
double linearSeconds(const Weight &weight, int64_t rows, const Reads &reads,
                     ThreadPool &pool) {
  int64_t n = weight.layout.rows, k = weight.layout.columns;
  Memory x = randomFloats(rows * k), y = allocate(rows * n * 4);
  Memory records = allocate(rows * QuantizedLayout{k, reads.codes}.rowBytes());
  const float *input = static_cast<const float *>(x.get());
  quantizeActivations(input, k, rows, k, {reads.codes}, records.get(), pool);
  LinearArguments a;
  a.layout = weight.layout;
  a.rows = rows;
  a.inputStride = k;
  a.codes = reads.codes;
  (reads.hasCodes ? a.quantized : reinterpret_cast<const void *&>(a.input)) =
      reads.hasCodes ? records.get() : x.get();
  a.output = static_cast<float *>(y.get());
  a.outputStride = n;
  int64_t next = 0;
  return secondsOf([&] {
    a.weight = weight.copy(next++);
    linear(a, pool);
  });
}

/// `tokens` queries of one sequence behind `context` positions.
struct AttentionShape {
  const char *model;
  int64_t heads, keyHeads, tokens, context;
};

struct Program {
  ThreadPool pool;
  std::string filter;

  bool wanted(const std::string &name) const {
    return name.find(filter) != std::string::npos;
  }

  void linearLayers(const std::string &format, const Reads &reads) {
    static constexpr Shape shapes[] = {
        {"1.1B qkv", 2560, 2048},      {"1.1B out", 2048, 2048},
        {"1.1B gate+up", 11264, 2048}, {"1.1B down", 2048, 5632},
        {"1.1B head", 32000, 2048},    {"28M qkv", 1024, 512},
        {"28M gate+up", 2816, 512},    {"28M down", 512, 1408},
        {"28M head", 8192, 512}};
    for (const Shape &shape : shapes) {
      std::string name = format + " " + reads.name + " " + shape.name;
      if (!wanted(name))
        continue;
      LinearLayout layout =
          *linearLayout(*quant::parseFormat(format), shape.n, shape.k);
      int64_t bytes = layout.packedBytes();
      // The 1.1B weights come from memory, the 28M ones from the cache.
      int64_t copies = shape.name[0] == '1' ? (512 << 20) / bytes + 1 : 1;
      Weight weight(format, shape.n, shape.k, copies);
      double roof = readBandwidth(weight.memory.get(), bytes * copies, pool);
      double decode = linearSeconds(weight, 1, reads, pool);
      double prefill = linearSeconds(weight, 512, reads, pool);
      double gigabytes = static_cast<double>(bytes) / decode * 1e-9;
      double products = 2.0 * 512 * static_cast<double>(shape.n * shape.k);
      std::printf("%-30s decode %8.1f us %6.1f GB/s %4.0f %% of %5.1f"
                  "   prefill %8.1f GOP/s\n",
                  name.c_str(), decode * 1e6, gigabytes,
                  gigabytes * 1e11 / roof, roof * 1e-9,
                  products / prefill * 1e-9);
      std::fflush(stdout);
    }
  }

  /// The same step with each format of keys and values.
  void attentions(const AttentionShape &shape) {
    for (auto [keys, values] : {std::pair("f16", "f16"),
                                {"int8", "int8"},
                                {"fp8_e4m3", "fp8_e4m3"},
                                {"int4", "int4"},
                                {"int4_asym_g32_zf", "int4_asym_g32_zf"}})
      attention(shape, keys, values);
  }

  void attention(const AttentionShape &shape, const char *keyFormat,
                 const char *valueFormat) {
    auto [model, heads, keyHeads, tokens, context] = shape;
    std::string name = std::string("attention ") + model + " " +
                       std::to_string(tokens) + " after " +
                       std::to_string(context) + " " + keyFormat;
    if (!wanted(name))
      return;
    CachedAttentionArguments a;
    a.layout.keyHeads = keyHeads;
    a.layout.headSize = 64;
    a.layout.pageTokens = 32;
    a.layout.key = *quant::parseFormat(keyFormat);
    a.layout.value = *quant::parseFormat(valueFormat);
    int64_t pages = (tokens + context + 31) / 32;
    Memory cache = allocate(pages * a.layout.pageBytes());
    std::vector<int32_t> table(static_cast<size_t>(pages));
    for (size_t i = 0; i < table.size(); ++i)
      table[i] = static_cast<int32_t>(i);
    int32_t starts[] = {0, static_cast<int32_t>(tokens)};
    int32_t from[] = {static_cast<int32_t>(context)};
    int32_t slot = 0;
    a.batch = {1, starts, from, table.data(), pages, &slot};
    Memory query = randomFloats(tokens * heads * 64);
    Memory output = allocate(tokens * heads * 64 * 4);
    a.pages = cache.get();
    a.heads = heads;
    a.query = static_cast<const float *>(query.get());
    a.output = static_cast<float *>(output.get());
    a.queryStride = a.outputStride = heads * 64;
    a.options.scale = 0.125f;
    double seconds = secondsOf([&] { cachedAttention(a, pool); });
    double keys =
        static_cast<double>(tokens) *
        (static_cast<double>(context) + static_cast<double>(tokens + 1) / 2);
    std::printf("%-44s %8.1f us  %8.1f GFLOP/s\n", name.c_str(), seconds * 1e6,
                keys * static_cast<double>(heads) * 256 / seconds * 1e-9);
  }

  /// Dense causal attention and its gradients, which have two and five products
  /// of queries by keys.
  void denseAttention(const char *model, int64_t heads, int64_t keyHeads,
                      int64_t tokens) {
    std::string name =
        std::string("dense attention ") + model + " " + std::to_string(tokens);
    if (!wanted(name))
      return;
    int64_t count = tokens * heads * 64, keyCount = tokens * keyHeads * 64;
    Memory q = randomFloats(count), k = randomFloats(keyCount),
           v = randomFloats(keyCount), dy = randomFloats(count),
           y = allocate(count * 4), dq = allocate(count * 4),
           dk = allocate(keyCount * 4), dv = allocate(keyCount * 4);
    auto floats = [](Memory &memory) {
      return static_cast<float *>(memory.get());
    };
    AttentionGradientArguments a;
    AttentionArguments &f = a.forward;
    f.batch = 1;
    f.heads = heads;
    f.keyHeads = keyHeads;
    f.queries = f.keys = tokens;
    f.headSize = f.valueSize = 64;
    f.options = {.scale = 0.125f, .causal = true};
    f.query = floats(q);
    f.key = floats(k);
    f.value = floats(v);
    f.output = floats(y);
    a.outputGradient = floats(dy);
    a.queryGradient = floats(dq);
    a.keyGradient = floats(dk);
    a.valueGradient = floats(dv);
    double forward = secondsOf([&] { host::attention(f, pool); });
    double gradient = secondsOf([&] { attentionGradient(a, pool); });
    double product = static_cast<double>(tokens * (tokens + 1) / 2 * heads) *
                     128 * 1e-9; // GFLOP
    std::printf("%-30s %8.1f us  %8.1f GFLOP/s   gradients %8.1f us  %8.1f "
                "GFLOP/s: %.2f times as long a product\n",
                name.c_str(), forward * 1e6, 2 * product / forward,
                gradient * 1e6, 5 * product / gradient,
                gradient / forward / 2.5);
  }

  void dispatch() {
    if (!wanted("dispatch"))
      return;
    double seconds = secondsOf(
        [&] { pool.parallelFor(pool.threads(), 1, [](int64_t, int64_t) {}); });
    std::printf("%-30s %8.2f us\n", "dispatch", seconds * 1e6);
  }
};

} // namespace

int main(int count, char **arguments) {
  char *end = nullptr;
  long threads = count > 1 ? std::strtol(arguments[1], &end, 10) : 0;
  if (end && (*end || threads < 0)) {
    std::fprintf(stderr, "error: expected a number of threads, got \"%s\"\n",
                 arguments[1]);
    return 2;
  }
  Program program{ThreadPool(static_cast<int>(threads)),
                  count > 2 ? arguments[2] : ""};
  program.dispatch();
  program.linearLayers("int4_g32", int8Reads);
  program.linearLayers("int4_asym_g32", int8Reads);
  program.linearLayers("int4_g32_s6", int8Reads);
  program.linearLayers("int4_asym_g32_s6", int8Reads);
  program.linearLayers("lut4_g128", int8Reads);
  program.linearLayers("lut3_g128", int8Reads);
  program.linearLayers("mxfp4", int8Reads);
  program.linearLayers("int8", int8Reads);
  program.linearLayers("int8", int8RowReads);
  program.linearLayers("fp8_e4m3", fp8RowReads);
  program.linearLayers("int6_g32_s6", int8Reads);
  program.linearLayers("int5_g32_s6", int8Reads);
  program.linearLayers("int3_g128", int8Reads);
  program.linearLayers("int2_g64", int8Reads);
  program.linearLayers("int4_g32", f32Reads);
  program.linearLayers("nf4_g64", f32Reads);
  program.linearLayers("fp8_e5m2", f32Reads);
  program.linearLayers("int4_g32_s6", f32Reads);
  program.linearLayers("int3_g128", f32Reads);
  program.linearLayers("int2_g64", f32Reads);
  program.linearLayers("fp8_e4m3", f32Reads);
  program.linearLayers("f32", f32Reads);
  program.linearLayers("f16", f32Reads);
  program.linearLayers("bf16", f32Reads);
  for (int64_t context : {128, 2048}) {
    program.attentions({"1.1B", 32, 4, 1, context});
    program.attentions({"28M", 8, 4, 1, context});
  }
  program.attentions({"1.1B", 32, 4, 512, 0});
  program.attentions({"28M", 8, 4, 512, 0});
  program.denseAttention("28M", 8, 4, 512);
  program.denseAttention("8 heads", 8, 8, 512);
  return 0;
}
