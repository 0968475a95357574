// Choosing a grid by search: a range that leaves out the largest weights has a
// finer step for all others. For each group the grid is sought whose rounding
// to nearest has the least
//
//   Σ_j cost_j · (ŵ_j − w_j)²
//
// cost_j is what an error in column j costs: the second moment of the input
// (llama.cpp's importance matrix, AWQ's clip search) where weights are rounded
// to nearest, and D_I(j) of the factored moment (Factor.h) where they are
// rounded with feedback, because that is what remains of an error there.
//
// Asymmetric formats shrink both ends: first alike, then each alone around the
// best. Symmetric ones shrink the scale; with a full range (−8…7) the scale may
// have either sign, and reach over the largest magnitude on the shorter side.
// With two levels of scales the groups are searched as if every scale could be
// stored. Then each unit is chosen that stores those scales with the least
// error, by what one costs, and the groups are searched once more, with the
// scales that there are.
//
// The covering grid is always a candidate, so that the search cannot lose.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_QUANT_ALGORITHMS_GRIDSEARCH_H
#define QOPT_LIB_QUANT_ALGORITHMS_GRIDSEARCH_H

#include "lib/Quant/Grid.h"

namespace qopt::quant {

/// How far and how finely a range is shrunk.
struct RangeSteps {
  float smallest = 0.5f; ///< of the covering range
  int steps = 20;        ///< from 1 to the smallest

  /// The steps for a number of levels: the fewer, the finer and the further.
  static RangeSteps forLevels(const Levels &levels);
};

/// The best grid found under `costs`, one for each column, none negative. Fails
/// as `coveringGrid` does.
StatusOr<Grid> searchGrid(const GridShape &shape, const MatrixView &weights,
                          const std::vector<float> &costs,
                          const RangeSteps &steps, unsigned threads);

} // namespace qopt::quant

#endif // QOPT_LIB_QUANT_ALGORITHMS_GRIDSEARCH_H
