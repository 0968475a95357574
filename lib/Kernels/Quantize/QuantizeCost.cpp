// Bytes of a quantization: halves once in, codes and a scale a row once out.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Quantize/Quantize.h"

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::quantize;

StreamCost quantize::costOf(const Problem &problem, const Schedule &schedule,
                            int64_t rows, const target::Target &target) {
  StreamTraffic traffic;
  traffic.read = rows * problem.columns * 2;
  traffic.written = rows * (problem.columns + 4);
  traffic.blocks = launchOf(problem, schedule).grid(rows);
  return streamCostOf(traffic, target);
}
