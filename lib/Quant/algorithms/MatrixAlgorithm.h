// The algorithms that see a whole matrix and what is known of its inputs and
// outputs, each made of a choice of the grid, a rounding and refinements:
//
//   name       grid                            rounding       refined
//   rtn        covering                        nearest        no
//   clip       search, by H_I's diagonal       nearest        no
//   hqq        covering, zeros by HQQ          nearest        no
//   gptq       search, by D_I                  feedback, H_I  scales, numbers
//   kronecker  search, by D_I                  feedback, H_I and H_O    "
//
// A search fits a code book to the weights first, where the format has one.
//
// An algorithm takes of a metric what it uses, and without moments each has the
// identity in their place: gptq then is clip, with refined scales.
//
// None of them is the best for every matrix, and moments are those of a
// calibration text: `chooseCandidate` compares results on moments of another
// text, and with round to nearest, which it never does worse than.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_QUANT_ALGORITHMS_MATRIXALGORITHM_H
#define QOPT_LIB_QUANT_ALGORITHMS_MATRIXALGORITHM_H

#include "lib/Quant/algorithms/Metric.h"
#include <string>
#include <string_view>

namespace qopt::quant {

/// What an algorithm may take. Results depend on `refinements` alone.
struct Effort {
  unsigned threads;
  /// How often scales and then numbers are refined, where they are. Six leave 3
  /// to 5 % less KL than two, and calibration takes 20 % longer.
  int refinements = 2;
};

/// One algorithm.
struct MatrixAlgorithm {
  std::string_view name; ///< as on the command line and in the IR
  /// Quantizes `weights` under a metric that was checked. Fails as
  /// `coveringGrid`, `factorMoment` and `halfQuadraticGrid` do.
  StatusOr<QuantizedMatrix> (*quantize)(const GridShape &shape,
                                        const MatrixView &weights,
                                        const Metric &metric, Effort effort);
};

/// The algorithm with this name, or null.
const MatrixAlgorithm *findMatrixAlgorithm(std::string_view name);

/// All names in the table's order, separated by ", ".
std::string matrixAlgorithmNames();

/// Checks the metric, then quantizes.
StatusOr<QuantizedMatrix> quantizeMatrix(const MatrixAlgorithm &algorithm,
                                         const GridShape &shape,
                                         const MatrixView &weights,
                                         const Metric &metric, Effort effort);

/// A result of an algorithm, to be compared.
struct Candidate {
  std::string name;
  QuantizedMatrix matrix;
};

/// Which candidate was taken, and the errors of all.
struct Choice {
  Candidate best;
  /// Names and errors on the held-out metric; round to nearest is the first.
  std::vector<std::pair<std::string, double>> errors;
};

/// The candidate with the least error on a metric that no candidate was made
/// with; round to nearest on the grid's shape is one of them, and is taken
/// where none is better. Fails as `coveringGrid` and `checkMetric` do.
StatusOr<Choice> chooseCandidate(const GridShape &shape,
                                 const MatrixView &weights,
                                 std::vector<Candidate> candidates,
                                 const Metric &heldOut, unsigned threads);

} // namespace qopt::quant

#endif // QOPT_LIB_QUANT_ALGORITHMS_MATRIXALGORITHM_H
