// The order of a skinny_linear kernel's sums as data that the host's kernels
// follow; SkinnyLinear.h says in words what it is, and why.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_SKINNYLINEAR_SKINNYLINEARORDER_H
#define QOPT_LIB_KERNELS_SKINNYLINEAR_SKINNYLINEARORDER_H

#include "lib/Kernels/SkinnyLinear/SkinnyLinear.h"
#include "runtime/host/SumOrder.h"

#include <optional>

namespace qopt::kernels::skinny_linear {

/// Of the rows of a segment. Problems whose activations are codes need none:
/// their sums are exact.
host::LinearSumOrder sumOrderOf(const Problem &problem,
                                const Schedule &schedule, size_t segment);

/// Of the norm ahead of the product, if there is one.
std::optional<host::NormSumOrder> normOrderOf(const Problem &problem,
                                              const Schedule &schedule);

} // namespace qopt::kernels::skinny_linear

#endif // QOPT_LIB_KERNELS_SKINNYLINEAR_SKINNYLINEARORDER_H
