// The value of a quadratic form for each token: what its vector weighs under
// the other side's factor of a curvature.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_CALIBRATE_QUADRATICFORM_H
#define QOPT_LIB_CALIBRATE_QUADRATICFORM_H

#include <cstdint>
#include <vector>

namespace qopt::calibrate {

/// xₜᵀ M xₜ of every row of x [tokens, size] for a symmetric M [size, size];
/// |xₜ|² where M is empty. Rows of a positive M that come out below zero by
/// rounding are 0.
std::vector<float> quadraticForms(const float *x, int64_t tokens, int64_t size,
                                  const std::vector<float> &matrix,
                                  unsigned threads);

} // namespace qopt::calibrate

#endif // QOPT_LIB_CALIBRATE_QUADRATICFORM_H
