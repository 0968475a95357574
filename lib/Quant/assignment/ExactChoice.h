// Choosing one option of each item within budgets: which format each weight,
// cache or activation gets when their bytes, or the time that a step takes for
// them, are bounded together. The multiple-choice knapsack problem, with two
// sizes where both are bounded, solved by dynamic programming over the items,
// where of all partial choices only those stay that no other beats in all sizes
// and cost (Kellerer, Pferschy and Pisinger, Knapsack Problems, 2004, ch. 11
// and 9).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_QUANT_ASSIGNMENT_EXACTCHOICE_H
#define QOPT_LIB_QUANT_ASSIGNMENT_EXACTCHOICE_H

#include "qopt/Status.h"
#include <cstddef>
#include <cstdint>
#include <vector>

namespace qopt::quant {

/// One way to store an item.
struct SizedOption {
  int64_t bytes;    ///< not negative
  double cost;      ///< to be small; finite
  int64_t time = 0; ///< not negative, in any unit that sums are exact in
};

/// A bound of the first `items` together: those of one kind, where another
/// bound is on all.
struct SizeBound {
  size_t items;
  int64_t bytes;
};

/// The index of the option that each item gets: of all choices within the
/// bounds, of which the last is on all items, and within `time`, the one with
/// the least sum of costs, and of equal ones the smallest. Every item has an
/// option or more. Exact while at most 2^16 partial choices are undominated;
/// beyond that, of those whose sizes differ by less than 2^-16 of the last
/// bound the cheapest stays. Where both bytes and time are less than the
/// largest choice has, it is exact while at most 2^14 of them can still be
/// better than what prices of both find; beyond that, those with the least
/// priced cost stay. Infeasible, with the least possible size, where nothing
/// fits.
StatusOr<std::vector<size_t>>
chooseWithin(const std::vector<std::vector<SizedOption>> &items,
             const std::vector<SizeBound> &bounds, int64_t time = INT64_MAX);
/// With one bound, on all items.
StatusOr<std::vector<size_t>>
chooseWithin(const std::vector<std::vector<SizedOption>> &items,
             int64_t budget);

/// The least size of a choice, in bytes.
int64_t leastBytes(const std::vector<std::vector<SizedOption>> &items);

} // namespace qopt::quant

#endif // QOPT_LIB_QUANT_ASSIGNMENT_EXACTCHOICE_H
