// The order of a norm kernel's sums as data that the host's kernels follow.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_NORM_NORMORDER_H
#define QOPT_LIB_KERNELS_NORM_NORMORDER_H

#include "lib/Kernels/Norm/Norm.h"
#include "runtime/host/SumOrder.h"

namespace qopt::kernels::norm {

/// Of any number of rows.
inline host::NormSumOrder sumOrderOf(const Schedule &schedule) {
  const RowShape &row = schedule.row;
  return {0, row.threads, row.width, true};
}

} // namespace qopt::kernels::norm

#endif // QOPT_LIB_KERNELS_NORM_NORMORDER_H
