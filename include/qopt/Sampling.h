// How the next token is chosen from the logits. The order is: repetition
// penalty, temperature, top-k, top-p, min-p, draw. A draw depends on the seed
// and on how many tokens the request has generated, on nothing else: the same
// request gives the same text alone or in a batch, on any device.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_SAMPLING_H
#define QOPT_SAMPLING_H

#include "qopt/Export.h"
#include "qopt/Status.h"

#include <cstdint>
#include <span>

namespace qopt {

struct SamplingOptions {
  /// 0: greedy, the most probable token; but for the penalty the other options
  /// have no effect then.
  float temperature = 0;
  int32_t topK = 0; ///< the k most probable tokens; 0: all
  float topP = 1;   ///< the fewest tokens whose probabilities reach p
  float minP = 0;   ///< tokens at least p times as probable as the first
  /// Divides positive and multiplies negative logits of tokens that prompt or
  /// text have; 1: none.
  float repetitionPenalty = 1;
  uint64_t seed = 0;

  bool operator==(const SamplingOptions &) const = default;
};

/// InvalidArgument names the option and its range.
QOPT_API Status checkSampling(const SamplingOptions &options);

/// The next token. `seen` lists prompt and text so far (with repeats); `index`
/// counts the request's tokens so far. Equal logits: the lower id. Internal
/// when no logit is a number.
QOPT_API StatusOr<int32_t> sampleToken(std::span<const float> logits,
                                       const SamplingOptions &options,
                                       std::span<const int32_t> seen,
                                       uint64_t index);

} // namespace qopt

#endif // QOPT_SAMPLING_H
