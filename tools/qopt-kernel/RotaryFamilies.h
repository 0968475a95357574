// What rotates and appends in words, for the family rotary_append and for
// linear layers that do its work.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTKERNEL_ROTARYFAMILIES_H
#define QOPT_TOOLS_QOPTKERNEL_ROTARYFAMILIES_H

#include "lib/Kernels/RotaryAppend/RotaryAppend.h"
#include "tools/qopt-kernel/PagedBatch.h"

namespace qopt::kernel_tool {

/// Queries, keys and values are side by side in rows; queries go elsewhere.
kernels::rotary_append::Problem appendOf(Words &words, const PagedBatch &batch);

/// Adds the arguments behind those that have the heads.
void addAppend(std::vector<Argument> &list,
               const kernels::rotary_append::Problem &problem,
               const PagedBatch &batch);

} // namespace qopt::kernel_tool

#endif // QOPT_TOOLS_QOPTKERNEL_ROTARYFAMILIES_H
