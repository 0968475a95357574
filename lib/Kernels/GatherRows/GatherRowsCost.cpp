// Bytes of a gather: the rows that are asked, not the table.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/GatherRows/GatherRows.h"
#include "lib/Quant/Element.h"
#include "lib/Quant/Storage.h"

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::gather_rows;

StreamCost gather_rows::costOf(const Problem &problem, const Schedule &schedule,
                               int64_t ids, const target::Target &target) {
  StreamTraffic traffic;
  traffic.read =
      ids * (4 + quant::codeBytes(problem.format, 1, problem.columns) +
             quant::scaleBytes(problem.format, 1, problem.columns) +
             quant::zeroBytes(problem.format, 1, problem.columns));
  traffic.written =
      ids * problem.columns * quant::elementOf(problem.output).bits / 8;
  traffic.blocks = launchOf(problem, schedule).grid(ids);
  return streamCostOf(traffic, target);
}
