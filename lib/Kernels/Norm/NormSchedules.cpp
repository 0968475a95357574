// What can be normalised, and by how many threads.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Norm/Norm.h"
#include "lib/Kernels/SymbolName.h"
#include "lib/Quant/Element.h"

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::norm;
using quant::ElementType;

Status norm::isValid(const Problem &problem) {
  if (problem.columns < 1)
    return Status(StatusCode::InvalidArgument,
                  "a norm of rows without columns");
  if (problem.activation != ElementType::F16 &&
      problem.activation != ElementType::BF16)
    return Status(StatusCode::Unsupported, "activations are f16 or bf16");
  if (!quant::elementOf(problem.scale).isFloat)
    return Status(StatusCode::Unsupported, "scales are f32, f16 or bf16");
  if (problem.bias && problem.kind == Kind::Rms)
    return Status(StatusCode::InvalidArgument, "an rms_norm has no bias");
  if (problem.added && problem.result == Result::Int8)
    return Status(StatusCode::Unsupported,
                  "a sum behind a norm is not made codes");
  if (problem.stride &&
      (problem.residual || problem.added || problem.heads < 1 ||
       problem.stride < problem.heads * problem.columns))
    return Status(StatusCode::InvalidArgument,
                  "heads have no residual and rows that hold them all");
  if (problem.scales < 1)
    return Status(StatusCode::InvalidArgument, "a norm without scales");
  if (!(problem.epsilon >= 0))
    return Status(StatusCode::InvalidArgument, "epsilon is negative");
  return Status();
}

Status norm::isValid(const Problem &problem, const Schedule &schedule,
                     const target::Target &target) {
  QOPT_RETURN_IF_ERROR(isValid(problem));
  if (problem.stride % schedule.row.width)
    return Status(StatusCode::Infeasible,
                  "rows " + std::to_string(problem.stride) +
                      " elements apart are not read " +
                      std::to_string(schedule.row.width) + " at a time");
  return isValid(schedule.row, problem.columns, target);
}

StatusOr<Schedule> norm::chooseSchedule(const Problem &problem,
                                        const target::Target &target) {
  Schedule schedule;
  schedule.row = chooseRowShape(problem.columns);
  schedule.why = schedule.row.rowsPerBlock > 1
                     ? "short rows: a warp each"
                     : "a block holds a row in registers";
  QOPT_RETURN_IF_ERROR(isValid(problem, schedule, target));
  return schedule;
}

LaunchShape norm::launchOf(const Problem &problem, const Schedule &schedule) {
  LaunchShape launch;
  launch.threads = schedule.row.blockThreads();
  launch.rowsPerBlock = schedule.row.rowsPerBlock;
  launch.sharedBytes = reductionBytes(
      schedule.row, (problem.kind == Kind::Layer ? 2 : 1) +
                        (problem.result == Result::Int8 ? 1 : 0));
  return launch;
}

std::string norm::symbolOf(const Problem &problem,
                           const target::Target &target) {
  std::string name = "norm_" + std::string(target.name);
  for (ElementType type : {problem.activation, problem.scale})
    name += "_" + std::string(quant::elementOf(type).name);
  name += problem.result == Result::Int8
              ? "_int8"
              : "_" + std::string(quant::elementOf(problem.activation).name);
  name += problem.kind == Kind::Rms ? "_rms" : "_layer";
  name += std::to_string(problem.columns);
  name += problem.residual ? "_residual" : "";
  name += problem.bias ? "_bias" : "";
  name += problem.added ? "_added" : "";
  if (problem.stride)
    name += "_h" + std::to_string(problem.heads) + "x" +
            std::to_string(problem.stride);
  if (problem.scales > 1)
    name += "_scales" + std::to_string(problem.scales);
  return name + "_e" + spellBits(problem.epsilon);
}
