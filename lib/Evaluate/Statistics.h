// Estimates with intervals. Whole units are drawn again (Efron's bootstrap,
// percentile intervals): windows, because the tokens of a window depend on each
// other, or questions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_EVALUATE_STATISTICS_H
#define QOPT_LIB_EVALUATE_STATISTICS_H

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace qopt::eval {

struct Interval {
  double low = 0, high = 0;
};

/// A figure and the interval that holds 95 % of the figures of drawn units;
/// none where one unit alone leaves nothing to draw from.
struct Estimate {
  double value = 0;
  std::optional<Interval> interval;
};

/// What is counted, [units, columns]: each unit has a sum in each column.
class UnitSums {
public:
  explicit UnitSums(size_t columns) : columns(columns) {}
  /// The sums of a new unit, zero at first; valid until the next call.
  std::span<double> addUnit() {
    sums.resize(sums.size() + columns);
    return std::span(sums).last(columns);
  }
  size_t units() const { return sums.size() / columns; }
  std::span<const double> operator[](size_t unit) const {
    return std::span(sums).subspan(unit * columns, columns);
  }

private:
  size_t columns;
  std::vector<double> sums;
};

/// A figure, from each column's total over units.
using Statistic = std::function<double(std::span<const double> totals)>;

/// One estimate for each statistic, all from the same draws. The same seed
/// gives the same intervals.
std::vector<Estimate> bootstrap(const UnitSums &sums,
                                std::span<const Statistic> statistics,
                                uint64_t seed);

/// The value below which a share `q` (0 to 1) of them lies; 0 of none. Reorders
/// `values`.
double quantile(std::vector<double> &values, double q);

} // namespace qopt::eval

#endif // QOPT_LIB_EVALUATE_STATISTICS_H
