// Times of the host's kernels, for programs that print them (host_kernels) and
// that describe a machine by them (describe_host).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_BENCH_KERNELTIMES_H
#define QOPT_BENCH_KERNELTIMES_H

#include "runtime/host/CachedAttention.h"
#include "runtime/host/Linear.h"
#include "runtime/host/QuantizedActivations.h"

#include <cstdlib>
#include <functional>
#include <memory>
#include <string>

namespace qopt::bench {

struct FreeMemory {
  void operator()(void *memory) const { std::free(memory); }
};
using Memory = std::unique_ptr<void, FreeMemory>;

/// Zeros, on whole pages.
Memory allocate(int64_t bytes);
/// Between −1 and 1, the same in every run.
Memory randomFloats(int64_t count);
inline float *floats(const Memory &memory) {
  return static_cast<float *>(memory.get());
}

/// Seconds of one call: the best of many rounds of at least 2 ms, short so that
/// some of them have the processor to themselves.
double secondsOf(const std::function<void()> &call);

/// Bytes per second of a plain sum over `bytes` bytes.
double readBandwidth(const void *memory, int64_t bytes, host::ThreadPool &pool);

/// One weight with random bytes, many copies of which are streamed in turn
/// where `copies` is above one, so that none is found in a cache.
struct Weight {
  Weight(const std::string &format, int64_t n, int64_t k, int64_t copies);
  const void *copy(int64_t i) const {
    return static_cast<const uint8_t *>(memory.get()) +
           i % copies * layout.packedBytes();
  }

  host::LinearLayout layout;
  int64_t copies;
  Memory memory;
};

/// How x comes: in f32, or in codes.
struct Reads {
  const char *name = "f32";
  bool hasCodes = false;
  host::ActivationCodes codes = host::ActivationCodes::Int8Blocks;
};
inline constexpr Reads f32Reads, int8Reads{"int8", true},
    int8RowReads{"int8-row", true, host::ActivationCodes::Int8Rows},
    fp8RowReads{"fp8-row", true, host::ActivationCodes::Fp8Rows};

/// Seconds of one linear layer.
double linearSeconds(const Weight &weight, int64_t rows, const Reads &reads,
                     host::ThreadPool &pool);

/// `tokens` queries of one sequence behind `context` positions.
struct AttentionStep {
  int64_t heads, keyHeads, tokens, context, channels = 64;
};

/// Seconds of attention to a cache in these formats.
double attentionSeconds(const AttentionStep &step, const std::string &keys,
                        const std::string &values, host::ThreadPool &pool);

} // namespace qopt::bench

#endif // QOPT_BENCH_KERNELTIMES_H
