// An activation: a piece of a row a thread, or with int8 a row a team.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/GatedActivation/GatedActivationGenerator.h"
#include "lib/Kernels/Builder/Functions.h"
#include "lib/Kernels/Builder/RowTeam.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::gated_activation;

static Run activate(const Problem &problem, const Run &gate, const Run &up) {
  Run result;
  for (size_t i = 0; i < gate.size(); ++i) {
    Real value = kernels::activate(problem.function, gate[i]);
    result.push_back(problem.form == Form::Alone ? value : value * up[i]);
  }
  return result;
}

namespace {
struct Body {
  Kernel &k;
  const Problem &problem;
  const Schedule &schedule;
  Type activation;
  unsigned result;

  /// Where row `row` of the gate and of up begin.
  Global gateOf(Int row) { return k.pointer(0).at(row, gateBytes()); }
  Global upOf(Int row) {
    if (problem.form == Form::Two)
      return k.pointer(1).at(row, problem.columns * 2);
    return gateOf(row).at(problem.columns * 2);
  }
  int64_t gateBytes() {
    return problem.columns * (problem.form == Form::Halves ? 4 : 2);
  }

  void buildPieces() {
    int64_t blocks = launchOf(problem, schedule).blocksPerRow;
    Int row = blocks == 1 ? k.block() : k.block() / blocks;
    Int piece = blocks == 1 ? k.constant(0) : k.block() % blocks;
    int width = schedule.row.width;
    Int column = (piece * schedule.row.threads + k.thread()) * width;
    k.when(column < k.constant(problem.columns), [&] {
      Run gate = loadRun(k, gateOf(row).at(column, 2), activation, width), up;
      if (problem.form != Form::Alone)
        up = loadRun(k, upOf(row).at(column, 2), activation, width);
      storeRun(k, k.pointer(result).at(row, problem.columns * 2).at(column, 2),
               activate(problem, gate, up), activation);
    });
  }

  void buildRows(Int rows) {
    RowTeam team(k, schedule.row, problem.columns);
    team.inside(rows, [&] {
      RowPart gate = team.load(gateOf(team.row()), activation), up(gate.size());
      if (problem.form != Form::Alone)
        up = team.load(upOf(team.row()), activation);
      for (int64_t step = 0; step < team.steps(); ++step) {
        Run &run = gate[size_t(step)];
        run = activate(problem, run, up[size_t(step)]);
        // A function of nothing may be more than the row's largest value.
        for (Real &value : run)
          if (!team.isWhole(step))
            value = select(team.holds(step), value, k.real(0));
      }
      team.quantize(k.pointer(result).at(team.row(), problem.columns),
                    k.pointer(result + 1).at(team.row(), 4), gate);
    });
  }
};
} // namespace

StatusOr<gpu::GPUFuncOp>
gated_activation::buildKernel(gpu::GPUModuleOp module, const Problem &problem,
                              const Schedule &schedule,
                              const target::Target &target) {
  QOPT_RETURN_IF_ERROR(isValid(problem, schedule, target));
  std::vector<Argument> arguments = {{Argument::Dependent, "gate"}};
  if (problem.form == Form::Two)
    arguments.push_back({Argument::Dependent, "up"});
  auto result = unsigned(arguments.size());
  arguments.push_back({Argument::Dependent, "result"});
  if (problem.result == Result::Int8)
    arguments.push_back({Argument::Dependent, "scales"});
  arguments.push_back({Argument::Integer, "rows"});
  Kernel kernel(module, symbolOf(problem, target), arguments,
                {schedule.row.blockThreads()}, target);
  kernel.launchSuccessor();
  kernel.waitForPredecessor();
  Body body{kernel, problem, schedule, typeOf(kernel, problem.activation),
            result};
  if (problem.result == Result::Int8)
    body.buildRows(kernel.integer(unsigned(arguments.size()) - 1));
  else
    body.buildPieces();
  return kernel.finish();
}
