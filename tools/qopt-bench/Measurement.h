// Speeds of a decoder: of reading prompts, and of writing tokens after them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTBENCH_MEASUREMENT_H
#define QOPT_TOOLS_QOPTBENCH_MEASUREMENT_H

#include "qopt/Engine.h"

#include <vector>

namespace qopt::bench {

struct Workload {
  // -1: not chosen yet
  int64_t prompt = -1;  ///< tokens of a prompt, for the prefill
  int64_t context = -1; ///< positions before the first measured token
  int64_t tokens = -1;  ///< measured tokens of a sequence
  int64_t batch = 1;    ///< sequences at once
  int64_t repeats = 5;  ///< after one that is not counted
  uint64_t seed = 0;    ///< of the random tokens
};

/// Percentiles of times, in seconds.
struct Percentiles {
  double p50 = 0, p90 = 0, p99 = 0;
};

/// Tokens per second are medians over the repeats; `times` are of single
/// prompts (the batch together) or decode steps.
struct Speed {
  double tokensPerSecond = 0;
  std::vector<double> repeats; ///< tokens per second of each
  Percentiles times;
};

StatusOr<Speed> measurePrefill(Engine &engine, const Workload &workload);
StatusOr<Speed> measureDecode(Engine &engine, const Workload &workload);

} // namespace qopt::bench

#endif // QOPT_TOOLS_QOPTBENCH_MEASUREMENT_H
