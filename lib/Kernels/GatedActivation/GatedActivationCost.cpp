// Bytes of an activation: gate and up once in, the result once out.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/GatedActivation/GatedActivation.h"

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::gated_activation;

StreamCost gated_activation::costOf(const Problem &problem,
                                    const Schedule &schedule, int64_t rows,
                                    const target::Target &target) {
  constexpr int64_t half = 2;
  StreamTraffic traffic;
  traffic.read =
      rows * problem.columns * half * (problem.form == Form::Alone ? 1 : 2);
  traffic.written = problem.result == Result::Int8
                        ? rows * (problem.columns + 4)
                        : rows * problem.columns * half;
  traffic.blocks = launchOf(problem, schedule).grid(rows);
  return streamCostOf(traffic, target);
}
