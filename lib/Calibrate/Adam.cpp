// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Calibrate/Adam.h"
#include <cmath>
#include <numbers>

namespace qopt::calibrate {

/// Beside the root of the squares: far below any gradient that is none of
/// rounding.
constexpr double leastRoot = 1e-12;

void stepAdam(AdamState &state, const std::vector<float> &gradients,
              int64_t steps, const AdamOptions &options) {
  double part = double(state.step) / double(steps);
  double rate = options.rate * 0.5 * (1 + std::cos(std::numbers::pi * part));
  auto made = double(++state.step);
  // Both start at 0, which early steps would follow.
  double ofMean = 1 / (1 - std::pow(double(options.meanDecay), made));
  double ofSquare = 1 / (1 - std::pow(double(options.squareDecay), made));
  for (size_t i = 0; i < gradients.size(); ++i) {
    float g = gradients[i];
    float &mean = state.means[i], &square = state.squares[i];
    mean = options.meanDecay * mean + (1 - options.meanDecay) * g;
    square = options.squareDecay * square + (1 - options.squareDecay) * g * g;
    state.parameters[i] -= float(rate * double(mean) * ofMean /
                                 (std::sqrt(square * ofSquare) + leastRoot));
  }
}

} // namespace qopt::calibrate
