// The order of a skinny_linear kernel's sums as data that the host's kernels
// follow; SkinnyLinear.h says in words what it is, and why. Warps, steps,
// blocks and slices follow from the schedule, the rest from the problem.
//
// Σx of one token is summed by the threads that copy it, eight columns each and
// then lanes in a butterfly; of several tokens by products with ones. A norm
// ahead is summed by chunks of 8 columns a thread, lanes, warps; with several
// tokens one warp has a row.
//
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

/// Of the norm ahead of the product, or of that whose result is summed ahead of
/// it, if there is one.
std::optional<host::NormSumOrder> normOrderOf(const Problem &problem,
                                              const Schedule &schedule,
                                              bool ofSum = false);

} // namespace qopt::kernels::skinny_linear

#endif // QOPT_LIB_KERNELS_SKINNYLINEAR_SKINNYLINEARORDER_H
