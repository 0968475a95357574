// The range of a matrix that is seen in blocks.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/Algorithm.h"
#include <cmath>
#include <string>

namespace qopt::quant {

Status observeRange(const RowBlock &block, ValueRange &range) {
  for (int64_t i = 0; i < block.rows * block.columns; ++i) {
    float value = block.values[i];
    if (!std::isfinite(value))
      return Status(
          StatusCode::InvalidArgument,
          std::string(std::isnan(value) ? "NaN" : "infinity") + " at row " +
              std::to_string(block.firstRow + i / block.columns) + ", column " +
              std::to_string(i % block.columns) + "; expected finite values");
    range.low = std::fmin(range.low, value);
    range.high = std::fmax(range.high, value);
    if (std::fabs(value) > std::fabs(range.largestMagnitude))
      range.largestMagnitude = value;
  }
  return {};
}

} // namespace qopt::quant
