// The kernel of an append alone: a warp has a head of a token.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/RotaryAppend/RotaryAppendGenerator.h"
#include "lib/Kernels/RotaryAppend/RotaryAppendBody.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::rotary_append;

StatusOr<gpu::GPUFuncOp>
rotary_append::buildKernel(gpu::GPUModuleOp module, const Problem &problem,
                           const Schedule &schedule,
                           const target::Target &target) {
  QOPT_RETURN_IF_ERROR(isValid(problem, schedule, target));
  std::vector<Argument> arguments;
  Places places(problem, arguments);
  Kernel k(module, symbolOf(problem, target), arguments, {schedule.warps * 32},
           target);
  Body body(k, problem, schedule.width, places);
  k.launchSuccessor();
  int64_t blocks = launchOf(problem, schedule).blocksPerRow;
  body.setToken(k.block() / blocks);
  Int job = k.block() % blocks * schedule.warps + k.warp();
  k.when(body.isPresent(), [&] {
    body.locate();
    k.waitForPredecessor();
    body.run(job);
  });
  return k.finish();
}
