// A case's product by the host's kernels, in the order of a GPU's sums.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TEST_LIB_KERNELS_SKINNYLINEAR_HOSTPRODUCT_H
#define QOPT_TEST_LIB_KERNELS_SKINNYLINEAR_HOSTPRODUCT_H

#include "Case.h"
#include "runtime/host/SumOrder.h"

namespace qopt::kernels::skinny_linear {

/// y of rows `x` as the bits of its type say, the sums of each segment in its
/// order. Epilogues: bias and residual.
std::vector<float> hostProduct(const Case &test, const Arrays &arrays,
                               const std::vector<float> &x,
                               const std::vector<host::LinearSumOrder> &orders);

} // namespace qopt::kernels::skinny_linear

#endif // QOPT_TEST_LIB_KERNELS_SKINNYLINEAR_HOSTPRODUCT_H
