// A quantization: one row a team.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Quantize/QuantizeGenerator.h"
#include "lib/Kernels/Builder/RowTeam.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::quantize;

enum { Input, Codes, Scales, Rows };

StatusOr<gpu::GPUFuncOp> quantize::buildKernel(gpu::GPUModuleOp module,
                                               const Problem &problem,
                                               const Schedule &schedule,
                                               const target::Target &target) {
  QOPT_RETURN_IF_ERROR(isValid(problem, schedule, target));
  Kernel k(module, symbolOf(problem, target),
           {{Argument::Dependent, "input"},
            {Argument::Dependent, "codes"},
            {Argument::Dependent, "scales"},
            {Argument::Integer, "rows"}},
           {schedule.row.blockThreads()}, target);
  k.launchSuccessor();
  k.waitForPredecessor();
  RowTeam team(k, schedule.row, problem.columns);
  team.inside(k.integer(Rows), [&] {
    auto rowOf = [&](unsigned argument, int64_t bytes) {
      return k.pointer(argument).at(team.row(), bytes);
    };
    team.quantize(rowOf(Codes, problem.columns), rowOf(Scales, 4),
                  team.load(rowOf(Input, problem.columns * 2),
                            typeOf(k, problem.activation)));
  });
  return k.finish();
}
