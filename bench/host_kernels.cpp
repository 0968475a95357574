// How fast the host's linear and attention kernels are on this machine: decode
// as a fraction of the read bandwidth that a plain sum reaches in the same run,
// prefill in GOP/s. Usage: host_kernels [THREADS] [FILTER]; FILTER is a part of
// a name.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "bench/KernelTimes.h"
#include "runtime/host/AttentionGradient.h"

#include <cstdio>
#include <cstdlib>

using namespace qopt;
using namespace qopt::host;
using namespace qopt::bench;

namespace {

struct Shape {
  const char *name;
  int64_t n, k;
};

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
    double seconds = attentionSeconds({heads, keyHeads, tokens, context},
                                      keyFormat, valueFormat, pool);
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
