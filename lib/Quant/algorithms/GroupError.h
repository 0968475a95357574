// What rounding to nearest costs a group, for one scale and zero point after
// the other: the inner loop of every search for a grid (GridSearch.h), without
// the numbers, which no search keeps.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_QUANT_ALGORITHMS_GROUPERROR_H
#define QOPT_LIB_QUANT_ALGORITHMS_GROUPERROR_H

#include "lib/Quant/Grid.h"

namespace qopt::quant {

/// Σ cost · (ŵ − w)² of weights of one shape under many parameters.
class GroupError {
public:
  explicit GroupError(const GridShape &shape);

  /// Of `count` weights of a group, ŵ as `roundGroup` has it. The sum runs in
  /// one order for every width of vectors.
  double of(const GroupParameters &group, const float *weights,
            const float *costs, int64_t count) const;

  /// What vectors compute: quotients of the scale become numbers.
  struct Rule {
    float scale = 0, zero = 0;
    bool addsBefore = false; ///< the zero point, before rounding
    bool addsAfter = false;  ///< and behind it
    float low = 0, high = 0;
    /// Of a code book, `middleCount` + 1 numbers; null: integers.
    const float *numbers = nullptr, *middles = nullptr;
    int64_t middleCount = 0;
  };

private:
  const GridShape &shape;
  std::vector<float> middles; ///< of neighbours in the code book
};

} // namespace qopt::quant

#endif // QOPT_LIB_QUANT_ALGORITHMS_GROUPERROR_H
