// Adam (arXiv 1412.6980) over a vector of parameters, with a step that becomes
// smaller along half a cosine (arXiv 1608.03983): what comes last is an average
// rather than a walk. Plain arrays, the same for every number of threads.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_CALIBRATE_ADAM_H
#define QOPT_LIB_CALIBRATE_ADAM_H

#include <cstddef>
#include <cstdint>
#include <vector>

namespace qopt::calibrate {

struct AdamOptions {
  float rate = 1e-3f; ///< of the first step
  float meanDecay = 0.9f;
  /// Of squares. There are few steps: 0.999 would remember the first ones.
  float squareDecay = 0.99f;
};

/// What a run of steps has come to; what is stored of one that was ended.
struct AdamState {
  int64_t step = 0; ///< that have been made
  std::vector<float> parameters, means, squares;

  explicit AdamState(size_t count = 0)
      : parameters(count), means(count), squares(count) {}
};

/// Makes one of `steps` steps against `gradients`, one a parameter. A parameter
/// whose gradients were all 0 stays.
void stepAdam(AdamState &state, const std::vector<float> &gradients,
              int64_t steps, const AdamOptions &options);

} // namespace qopt::calibrate

#endif // QOPT_LIB_CALIBRATE_ADAM_H
