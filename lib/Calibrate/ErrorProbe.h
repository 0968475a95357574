// What errors of a weight that are known do to the model's predictions: to
// second order the divergence of a sequence is
//
//   KL ≈ ½ E⟨Δ, ∂L/∂W⟩²     ∂L/∂W = Σₜ gₜ xₜᵀ
//
// with L the log likelihood of labels that are drawn from the model. That is an
// unbiased estimate, whose relative deviation is √(2 / sequences): it has what
// the factors of a curvature leave out, the errors that tokens of a sequence
// have in common, and labels that no rounding was fitted to.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_CALIBRATE_ERRORPROBE_H
#define QOPT_LIB_CALIBRATE_ERRORPROBE_H

#include "lib/Quant/algorithms/Tiles.h"
#include <map>

namespace qopt::calibrate {

class ErrorProbe {
public:
  /// Adds an error Δ [rows, columns], of the shape of all others.
  void addError(const float *difference, int64_t rows, int64_t columns);

  /// Adds what a linear in a sequence contributes to ⟨Δ, ∂L/∂W⟩: inputs x
  /// [tokens, columns], gradients of its outputs g [tokens, rows].
  void addProduct(int64_t sequence, const float *x, const float *g,
                  int64_t tokens, unsigned threads);
  /// The same of an embedding: ids [tokens], gradients g [tokens, columns].
  void addLookup(int64_t sequence, const int32_t *ids, const float *g,
                 int64_t tokens);

  /// KL per token of each error, in the order in which they were added;
  /// sequences have `tokens` each. Zeros where no sequence was added.
  std::vector<double> divergences(int64_t tokens) const;

private:
  std::vector<double> &dotsOf(int64_t sequence);

  std::vector<quant::Panels> errors; ///< panels of rows
  int64_t rows = 0, columns = 0;
  std::map<int64_t, std::vector<double>> dots; ///< of a sequence, by error
};

} // namespace qopt::calibrate

#endif // QOPT_LIB_CALIBRATE_ERRORPROBE_H
