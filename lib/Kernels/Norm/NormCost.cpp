// Bytes of a norm: its rows once in, once out; scales come from the cache but
// for the first row.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Norm/Norm.h"
#include "lib/Quant/Element.h"

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::norm;

StreamCost norm::costOf(const Problem &problem, const Schedule &schedule,
                        int64_t rows, const target::Target &target) {
  int64_t half = quant::elementOf(problem.activation).bits / 8;
  int64_t vectors = problem.bias ? 2 : 1;
  StreamTraffic traffic;
  traffic.read =
      rows * problem.columns * half *
          (1 + int(problem.residual) + int(problem.added)) +
      vectors * problem.columns * quant::elementOf(problem.scale).bits / 8;
  traffic.written =
      rows * problem.columns * (problem.residual ? half : 0) +
      rows * (problem.result == Result::Int8 ? problem.columns + 4
                                             : problem.columns * half);
  traffic.blocks = launchOf(problem, schedule).grid(rows);
  return streamCostOf(traffic, target);
}
