// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "bench/KernelTimes.h"

#include <algorithm>
#include <chrono>
#include <cstring>

using namespace qopt;
using namespace qopt::host;

namespace qopt::bench {

Memory allocate(int64_t bytes) {
  Memory memory(std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096));
  std::memset(memory.get(), 0, bytes);
  return memory;
}

static uint32_t nextRandom(uint32_t &state) {
  state = state * 1664525u + 1013904223u;
  return state >> 8;
}

Memory randomFloats(int64_t count) {
  Memory memory = allocate(count * 4);
  uint32_t state = 1;
  for (int64_t i = 0; i < count; ++i)
    floats(memory)[i] =
        static_cast<float>(nextRandom(state) % 2001) / 1000.0f - 1;
  return memory;
}

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

Weight::Weight(const std::string &format, int64_t n, int64_t k, int64_t copies)
    : layout(*linearLayout(*quant::parseFormat(format), n, k)), copies(copies),
      memory(allocate(layout.packedBytes() * copies)) {
  uint32_t state = 1;
  uint8_t *bytes = static_cast<uint8_t *>(memory.get());
  for (int64_t i = 0; i < layout.packedBytes(); ++i)
    bytes[i] = static_cast<uint8_t>(nextRandom(state));
  // Scales and values of moderate size: clear the top exponent bits.
  for (int64_t i = 1; i < layout.packedBytes(); i += 2)
    if (layout.isFloat() || i % layout.tileBytes() >= layout.scaleOffset())
      bytes[i] = (bytes[i] & 0x8f) | 0x20;
  for (int64_t c = 1; c < copies; ++c)
    std::memcpy(bytes + c * layout.packedBytes(), bytes, layout.packedBytes());
}

double linearSeconds(const Weight &weight, int64_t rows, const Reads &reads,
                     ThreadPool &pool) {
  int64_t n = weight.layout.rows, k = weight.layout.columns;
  Memory x = randomFloats(rows * k), y = allocate(rows * n * 4);
  Memory records = allocate(rows * QuantizedLayout{k, reads.codes}.rowBytes());
  quantizeActivations(floats(x), k, rows, k, {reads.codes}, records.get(),
                      pool);
  LinearArguments a;
  a.layout = weight.layout;
  a.rows = rows;
  a.inputStride = k;
  a.codes = reads.codes;
  (reads.hasCodes ? a.quantized : reinterpret_cast<const void *&>(a.input)) =
      reads.hasCodes ? records.get() : x.get();
  a.output = floats(y);
  a.outputStride = n;
  int64_t next = 0;
  return secondsOf([&] {
    a.weight = weight.copy(next++);
    linear(a, pool);
  });
}

double attentionSeconds(const AttentionStep &step, const std::string &keys,
                        const std::string &values, ThreadPool &pool) {
  auto [heads, keyHeads, tokens, context, channels] = step;
  CachedAttentionArguments a;
  a.layout.keyHeads = keyHeads;
  a.layout.headSize = channels;
  a.layout.pageTokens = 32;
  a.layout.key = *quant::parseFormat(keys);
  a.layout.value = *quant::parseFormat(values);
  int64_t pages = (tokens + context + 31) / 32;
  Memory cache = allocate(pages * a.layout.pageBytes());
  std::vector<int32_t> table(static_cast<size_t>(pages));
  for (size_t i = 0; i < table.size(); ++i)
    table[i] = static_cast<int32_t>(i);
  int32_t starts[] = {0, static_cast<int32_t>(tokens)};
  int32_t from[] = {static_cast<int32_t>(context)};
  int32_t slot = 0;
  a.batch = {1, starts, from, table.data(), pages, &slot};
  Memory query = randomFloats(tokens * heads * channels);
  Memory output = allocate(tokens * heads * channels * 4);
  a.pages = cache.get();
  a.heads = heads;
  a.query = floats(query);
  a.output = floats(output);
  a.queryStride = a.outputStride = heads * channels;
  a.options.scale = 0.125f;
  return secondsOf([&] { cachedAttention(a, pool); });
}

} // namespace qopt::bench
