// What the sampling kernel reads of each row: the options of a request, and
// where its draws stand.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_CUDA_SAMPLINGRECORD_H
#define QOPT_RUNTIME_CUDA_SAMPLINGRECORD_H

#include <cstdint>

namespace qopt::cuda {

/// As SamplingOptions, which says what the options mean.
struct SamplingRecord {
  float temperature = 0;
  float topP = 1;
  float minP = 0;
  float repetitionPenalty = 1;
  int32_t topK = 0;
  /// Row of the seen tokens, a bit for each token of the vocabulary; −1: none
  /// are kept, and there is no penalty.
  int32_t seenRow = -1;
  uint64_t seed = 0;
  uint64_t index = 0; ///< of the draw
};
static_assert(sizeof(SamplingRecord) == 40);

} // namespace qopt::cuda

#endif // QOPT_RUNTIME_CUDA_SAMPLINGRECORD_H
