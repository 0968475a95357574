// One of the two factors of a curvature H ≈ H_O ⊗ H_I, while it is measured by
// power iteration: the second moment of one side's vectors, weighted by what
// the other side's factor of the iteration before says of each token,
//
//   H_O ← Σₜ (xₜᵀ H_I xₜ) gₜ gₜᵀ      H_I ← Σₜ (gₜᵀ H_O gₜ) xₜ xₜᵀ
//
// or its diagonal alone, where the matrix would be too large (a vocabulary's).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_CALIBRATE_CURVATUREFACTOR_H
#define QOPT_LIB_CALIBRATE_CURVATUREFACTOR_H

#include "lib/Calibrate/SecondMoment.h"

namespace qopt::calibrate {

class CurvatureFactor {
public:
  CurvatureFactor() = default;
  /// Of vectors with `size` elements. `last` is what normalized() gave at the
  /// end of the iteration before; empty: this is the first.
  CurvatureFactor(int64_t size, bool isDiagonal, std::vector<float> last = {});

  int64_t size() const { return length; }
  bool isDiagonal() const { return diagonal; }

  /// xₜᵀ M xₜ of each row of x [tokens, size], for the last iteration's factor
  /// M, or the identity in the first one.
  std::vector<float> forms(const float *x, int64_t tokens,
                           unsigned threads) const;

  /// Adds wₜ · xₜ xₜᵀ for each row.
  void add(const float *x, int64_t tokens, const std::vector<float> &weights,
           unsigned threads);

  /// The sums, [size, size] or [size], divided by their norm (the root of the
  /// sum of squares) or by the number of tokens.
  std::vector<float> normalized() const;
  std::vector<float> mean() const;

private:
  std::vector<float> sums() const;

  int64_t length = 0;
  bool diagonal = false;
  SecondMoment moment;         ///< unless diagonal
  std::vector<double> squares; ///< [size], where diagonal
  int64_t count = 0;           ///< tokens of these sums
  std::vector<float> last;     ///< empty: the identity
};

} // namespace qopt::calibrate

#endif // QOPT_LIB_CALIBRATE_CURVATUREFACTOR_H
