// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Gemm/GemmOrder.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearPack.h"
#include "lib/Quant/Element.h"

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::gemm;

host::LinearSumOrder gemm::sumOrderOf(const Problem &problem,
                                      const Schedule &schedule, size_t segment,
                                      int64_t most) {
  const quant::Format &format = problem.segments[segment].weight;
  host::LinearSumOrder order;
  order.mostTokens = most;
  order.bf16 = problem.activation == quant::ElementType::BF16;
  order.roundsWeights = true;
  order.scaleFactor =
      int64_t(skinny_linear::scaleFactor(format, problem.activation));
  int64_t elementBytes = quant::elementOf(problem.activation).bits / 8;
  order.unitColumns = panelRowBytes / elementBytes; // a panel
  order.slices = schedule.slices;
  order.unitsPerSlice =
      planOf(problem, schedule).stepsPerSlice * schedule.panels;
  // Each multiplies every second panel.
  order.columnWarps = schedule.columnWarps;
  if (format.isSymmetric())
    order.zero =
        int64_t(skinny_linear::numbersOf(format, problem.activation).zero);
  return order;
}
