// The order of a gemm kernel's sums as data that the host's kernels follow.
// Warps of different panels, slices and their lengths follow from the schedule.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_GEMM_GEMMORDER_H
#define QOPT_LIB_KERNELS_GEMM_GEMMORDER_H

#include "lib/Kernels/Gemm/Gemm.h"
#include "runtime/host/SumOrder.h"

namespace qopt::kernels::gemm {

/// Of the rows of a segment, for launches of at most `most` tokens (0: of any
/// number). Problems whose activations are codes need none: their sums are
/// exact.
host::LinearSumOrder sumOrderOf(const Problem &problem,
                                const Schedule &schedule, size_t segment,
                                int64_t most);

} // namespace qopt::kernels::gemm

#endif // QOPT_LIB_KERNELS_GEMM_GEMMORDER_H
