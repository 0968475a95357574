// What can be activated, and by how many threads.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/GatedActivation/GatedActivation.h"
#include "lib/Quant/Element.h"

#include <algorithm>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::gated_activation;
using quant::ElementType;

Status gated_activation::isValid(const Problem &problem) {
  if (problem.columns < 1 || problem.columns > INT32_MAX / 4)
    return Status(StatusCode::InvalidArgument,
                  "an activation of " + std::to_string(problem.columns) +
                      " columns");
  if (problem.activation != ElementType::F16 &&
      problem.activation != ElementType::BF16)
    return Status(StatusCode::Unsupported, "activations are f16 or bf16");
  return Status();
}

Status gated_activation::isValid(const Problem &problem,
                                 const Schedule &schedule,
                                 const target::Target &target) {
  QOPT_RETURN_IF_ERROR(isValid(problem));
  int64_t columns = problem.columns;
  if (problem.result == Result::Activation) {
    if (schedule.row.rowsPerBlock != 1)
      return Status(StatusCode::Infeasible,
                    "rows that are cut into blocks have blocks of their own");
    // One step of the row is what a block does.
    columns = std::min<int64_t>(columns, int64_t(schedule.row.threads) *
                                             schedule.row.width);
    if (problem.columns % schedule.row.width)
      columns = problem.columns; // says so
  }
  return isValid(schedule.row, columns, target);
}

StatusOr<Schedule>
gated_activation::chooseSchedule(const Problem &problem,
                                 const target::Target &target) {
  Schedule schedule;
  schedule.row = chooseRowShape(problem.columns);
  schedule.why = "the row is in registers, where its scale is found";
  if (problem.result == Result::Activation) {
    int64_t accesses =
        (problem.columns + schedule.row.width - 1) / schedule.row.width;
    schedule.row.threads =
        int(std::clamp<int64_t>((accesses + 31) / 32 * 32, 32, 128));
    schedule.row.rowsPerBlock = 1;
    schedule.why = "small blocks, so that one token is shared by many SMs";
  }
  QOPT_RETURN_IF_ERROR(isValid(problem, schedule, target));
  return schedule;
}

LaunchShape gated_activation::launchOf(const Problem &problem,
                                       const Schedule &schedule) {
  LaunchShape launch;
  launch.threads = schedule.row.blockThreads();
  if (problem.result == Result::Activation) {
    launch.blocksPerRow = schedule.row.steps(problem.columns);
    return launch;
  }
  launch.rowsPerBlock = schedule.row.rowsPerBlock;
  launch.sharedBytes = reductionBytes(schedule.row, 1);
  return launch;
}

std::string gated_activation::symbolOf(const Problem &problem,
                                       const target::Target &target) {
  std::string type(quant::elementOf(problem.activation).name);
  std::string name = "gated_activation_" + std::string(target.name) + "_" +
                     type + "_" +
                     (problem.result == Result::Int8 ? "int8" : type) + "_" +
                     std::string(nameOf(problem.function));
  name += problem.form == Form::Halves ? "_halves"
          : problem.form == Form::Two  ? "_two"
                                       : "_alone";
  return name + std::to_string(problem.columns);
}
