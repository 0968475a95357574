// Bytes of a check of indices: the indices once.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/CheckIndices/CheckIndices.h"

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::check_indices;

StreamCost check_indices::costOf(const Problem &problem, const Schedule &,
                                 int64_t indices,
                                 const target::Target &target) {
  StreamTraffic traffic;
  traffic.read = indices * (problem.integer == Integer::Long ? 8 : 4);
  traffic.written = 16;
  traffic.blocks = 1;
  return streamCostOf(traffic, target);
}
