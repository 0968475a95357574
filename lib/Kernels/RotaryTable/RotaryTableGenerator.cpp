// A table of angles: one a thread.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/RotaryTable/RotaryTableGenerator.h"
#include "lib/Kernels/Builder/Angles.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::rotary_table;

StatusOr<gpu::GPUFuncOp>
rotary_table::buildKernel(gpu::GPUModuleOp module, const Problem &problem,
                          const Schedule &schedule,
                          const target::Target &target) {
  QOPT_RETURN_IF_ERROR(isValid(problem, schedule, target));
  Kernel k(module, symbolOf(problem, target),
           {{Argument::Dependent, "positions"},
            {Argument::Constant, "inverse_frequencies"},
            {Argument::Dependent, "cos"},
            {Argument::Dependent, "sin"}},
           {schedule.threads}, target);
  k.launchSuccessor();
  int64_t blocks = launchOf(problem, schedule).blocksPerRow;
  Int token = k.block() / blocks;
  Int index = k.block() % blocks * schedule.threads + k.thread();
  k.when(index < k.constant(problem.count), [&] {
    Type f32 = k.builder().getF32Type();
    Real frequency = k.loadReal(k.pointer(1).at(index, 4), f32);
    k.waitForPredecessor();
    Int position = k.load(k.pointer(0).at(token, 4), 1).front();
    Rotation rotation = rotationOf(position, frequency, problem.scale);
    auto place = [&](unsigned argument) {
      return k.pointer(argument).at(token, problem.count * 4).at(index, 4);
    };
    k.storeReal(place(2), rotation.cosine, f32);
    k.storeReal(place(3), rotation.sine, f32);
  });
  return k.finish();
}
