// Measures what the host's kernels take on this machine, and prints it as the
// description that qopt-compile predicts steps from (--host-rates;
// lib/Driver/HostRates.h says what each number means).
// Usage: describe_host NAME [THREADS] > host.json
// Takes about a minute. Best of many short rounds, so that other programs
// disturb little; a machine that is busy all the time is described as slower
// than it is.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "bench/KernelTimes.h"
#include "runtime/host/Activation.h"
#include "runtime/host/Norm.h"
#include "runtime/host/Rotary.h"

#include <cstdio>
#include <cstring>
#include <fstream>
#include <vector>

using namespace qopt;
using namespace qopt::host;
using namespace qopt::bench;

namespace {

/// What /proc/cpuinfo says of a processor's name.
std::string processorName() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.rfind("model name", 0) == 0)
      return line.substr(line.find(':') + 2);
  return "unknown";
}

/// Prints the members of an array, with commas between them.
class Rows {
public:
  explicit Rows(const char *name) { std::printf(",\n \"%s\": [", name); }
  ~Rows() { std::printf("]"); }
  void next() {
    std::printf("%s\n  ", isFirst ? "" : ",");
    isFirst = false;
  }

private:
  bool isFirst = true;
};

class Description {
public:
  explicit Description(int threads) : pool(threads) {}

  void print(const char *name) {
    call = secondsOf(
        [&] { pool.parallelFor(pool.threads(), 1, [](int64_t, int64_t) {}); });
    // What is left of a linear without weights.
    call +=
        std::max(0.0, 2 * linearSeconds({"f32", 16, 32, 1}, 1, f32Reads, pool) -
                          linearSeconds({"f32", 16, 64, 1}, 1, f32Reads, pool));
    std::printf("{\"schema\": \"qopt-host-1\",\n \"name\": \"%s\",\n"
                " \"part\": \"%s, %d thread%s\",\n \"call_us\": %.4g",
                name, processorName().c_str(), pool.threads(),
                pool.threads() == 1 ? "" : "s", call * 1e6);
    printScores();
    printReads();
    printRows();
    printLinears();
    printCaches();
    std::printf("}\n");
  }

private:
  /// Of a head and position, whatever its channels: what a fourth of them
  /// takes more than a fourth.
  void printScores() {
    constexpr int64_t heads = 16, context = 1024;
    double many =
        attentionSeconds({heads, 4, 1, context - 1, 64}, "f16", "f16", pool);
    double few =
        attentionSeconds({heads, 4, 1, context - 1, 16}, "f16", "f16", pool);
    score =
        std::max(0.0, 4 * few - many - 3 * call) / 3 / double(heads * context);
    std::printf(",\n \"score_ps\": %.4g", score * 1e12);
  }

  void printReads() {
    Rows rows("reads");
    int64_t most = int64_t(1) << 29;
    Memory memory = allocate(most);
    std::memset(memory.get(), 1, size_t(most));
    for (int64_t bytes = 1 << 20; bytes <= most; bytes *= 2) {
      rows.next();
      std::printf("{\"bytes\": %lld, \"gb_s\": %.4g}", (long long)bytes,
                  readBandwidth(memory.get(), bytes, pool) * 1e-9);
    }
  }

  /// One token in a kernel, with few and with many elements.
  template <typename Kernel>
  void printRow(Rows &rows, const char *name, Kernel kernel) {
    constexpr int64_t few = 512, many = 8192;
    auto time = [&](int64_t count) {
      return secondsOf([&] { kernel(count); });
    };
    double least = time(few);
    double element = std::max(0.0, (time(many) - least) / double(many - few));
    double fixed = std::max(0.0, least - element * double(few));
    rows.next();
    std::printf("{\"kernel\": \"%s\", \"call_us\": %.4g, \"element_ns\": %.4g}",
                name, fixed * 1e6, element * 1e9);
  }

  void printRows() {
    Rows rows("rows");
    constexpr int64_t most = 8192;
    Memory x = randomFloats(2 * most), y = allocate(most * 4),
           records = allocate(most * 2);
    printRow(rows, "norm", [&](int64_t count) {
      NormArguments a;
      a.rows = 1;
      a.columns = count;
      a.epsilon = 1e-5f;
      a.input = floats(x);
      a.scale = floats(x);
      a.quantized = records.get();
      rmsNorm(a, pool);
    });
    printRow(rows, "activation", [&](int64_t count) {
      GatedActivationArguments a;
      a.rows = 1;
      a.columns = count;
      a.gate = floats(x);
      a.up = floats(x) + count;
      a.gateStride = a.upStride = 2 * count;
      a.quantized = records.get();
      gatedActivation(a, pool);
    });
    printRow(rows, "quantize", [&](int64_t count) {
      quantizeActivations(floats(x), count, 1, count, {}, records.get(), pool);
    });
    printRow(rows, "rotary", [&](int64_t count) {
      RotaryArguments a;
      a.tokens = 1;
      a.headSize = a.rotated = 64;
      a.heads = count / 64;
      a.input = floats(x);
      a.output = floats(y);
      a.inputStride = a.outputStride = count;
      a.cos = a.sin = floats(x);
      a.tableRows = 1;
      rotary(a, pool);
    });
    int32_t position = 1000;
    printRow(rows, "rotary_table", [&](int64_t count) {
      RotaryTableArguments a;
      a.tokens = 1;
      a.count = count / 2;
      a.positions = &position;
      a.inverseFrequencies = floats(x);
      a.cos = floats(y);
      a.sin = floats(y) + count / 2;
      rotaryTable(a, pool);
    });
  }

  void printLinear(Rows &rows, const std::string &format, const Reads &reads,
                   const char *spelt) {
    constexpr int64_t n = 1024, k = 1024;
    quant::Format parsed = *quant::parseFormat(format);
    if (reads.hasCodes && !readsCodes(parsed, reads.codes))
      return;
    Weight weight(format, n, k, 1);
    rows.next();
    std::printf("{\"weights\": \"%s\", \"reads\": \"%s\", \"weight_ps\": [",
                format.c_str(), spelt);
    for (int64_t tokens : {1, 2, 4, 8, 32, 128}) {
      double seconds = linearSeconds(weight, tokens, reads, pool) - call;
      std::printf("%s[%lld, %.4g]", tokens == 1 ? "" : ", ", (long long)tokens,
                  std::max(seconds, 0.0) / double(n * k) * 1e12);
    }
    std::printf("]}");
    std::fflush(stdout);
  }

  void printLinears() {
    Rows rows("linears");
    std::vector<std::string> formats{"int8", "int8_g32", "int8_g128", "mxfp4"};
    for (const char *element : {"int2", "int3", "int4", "int5", "int6"})
      for (const char *group : {"_g32", "_g128", "_asym_g32", "_g32_s6"})
        formats.push_back(std::string(element) + group);
    for (const char *element : {"lut3", "lut4"})
      for (const char *group : {"_g32", "_g128", "_g32_s6"})
        formats.push_back(std::string(element) + group);
    for (const std::string &format : formats)
      printLinear(rows, format, int8Reads, "int8_g32_sf32");
    printLinear(rows, "int8", int8RowReads, "int8");
    printLinear(rows, "fp8_e4m3", fp8RowReads, "fp8_e4m3");
    for (const char *format : {"f32", "f16", "bf16", "fp8_e4m3", "fp8_e5m2",
                               "nf4_g64", "fp4_e2m1_g32", "int4_g16"})
      formats.push_back(format);
    for (const std::string &format : formats)
      printLinear(rows, format, f32Reads, "f32");
  }

  /// Of 4 heads of keys with one query and with four, a position's channel.
  struct CacheCost {
    double unpack, product; ///< of a stored channel, of a query's
  };
  CacheCost cacheCost(const std::string &keys, const std::string &values) {
    constexpr int64_t context = 1024, keyHeads = 4;
    constexpr auto channels = double(context * keyHeads * 64);
    double one = attentionSeconds({4, 4, 1, context - 1}, keys, values, pool);
    double four = attentionSeconds({16, 4, 1, context - 1}, keys, values, pool);
    double scores = 4 * context * score;
    double product = std::max(0.0, (four - one) / 3 - scores);
    one -= scores;
    return {std::max(0.0, one - call - product) / channels, product / channels};
  }

  void printCaches() {
    Rows rows("caches");
    CacheCost f16 = cacheCost("f16", "f16");
    auto print = [&](const char *part, const std::string &format,
                     const CacheCost &both) {
      double other = format == "f16" ? 1 : 0; // its half is taken twice
      auto own = [&](double of, double ofF16) {
        return std::max(0.0, other > 0 ? of / 2 : of - ofF16 / 2) * 1e12;
      };
      rows.next();
      std::printf("{\"part\": \"%s\", \"format\": \"%s\", \"unpack_ps\": %.4g, "
                  "\"product_ps\": %.4g}",
                  part, format.c_str(), own(both.unpack, f16.unpack),
                  own(both.product, f16.product));
      std::fflush(stdout);
    };
    for (const char *format : {"f16", "f32", "bf16", "int8", "fp8_e4m3", "int4",
                               "int8_g32", "int4_g32", "int4_asym_g32_zf",
                               "int3_asym_g32_zf", "int2_asym_g32_zf"}) {
      print("keys", format, cacheCost(format, "f16"));
      print("values", format, cacheCost("f16", format));
    }
  }

  ThreadPool pool;
  double call = 0, score = 0;
};

} // namespace

int main(int count, char **arguments) {
  char *end = nullptr;
  long threads = count > 2 ? std::strtol(arguments[2], &end, 10) : 0;
  if (count < 2 || count > 3 || (end && *end) || threads < 0) {
    std::fprintf(stderr, "error: usage: describe_host NAME [THREADS]\n");
    return 2;
  }
  Description(static_cast<int>(threads)).print(arguments[1]);
  return 0;
}
