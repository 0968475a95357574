// Means with intervals. Windows are the units that are drawn again (Efron's
// bootstrap, percentile intervals), because the tokens of a window depend on
// each other.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTEVAL_STATISTICS_H
#define QOPT_TOOLS_QOPTEVAL_STATISTICS_H

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace qopt::eval {

struct Interval {
  double low = 0, high = 0;
};

/// A mean and the interval that holds 95 % of the resampled means; none where
/// one window alone leaves nothing to draw from.
struct Estimate {
  double mean = 0;
  std::optional<Interval> interval;
};

/// Of values of equally large windows. The same seed gives the same interval.
Estimate bootstrap(std::span<const double> windowMeans, uint64_t seed);

/// The value below which a share `q` (0 to 1) of them lies; 0 of none. Reorders
/// `values`.
double quantile(std::vector<float> &values, double q);

} // namespace qopt::eval

#endif // QOPT_TOOLS_QOPTEVAL_STATISTICS_H
