// What can be quantized, and by how many threads.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Quantize/Quantize.h"
#include "lib/Quant/Element.h"

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::quantize;
using quant::ElementType;

Status quantize::isValid(const Problem &problem) {
  if (problem.columns < 1)
    return Status(StatusCode::InvalidArgument, "rows without columns");
  if (problem.activation != ElementType::F16 &&
      problem.activation != ElementType::BF16)
    return Status(StatusCode::Unsupported, "activations are f16 or bf16");
  return Status();
}

Status quantize::isValid(const Problem &problem, const Schedule &schedule,
                         const target::Target &target) {
  QOPT_RETURN_IF_ERROR(isValid(problem));
  return isValid(schedule.row, problem.columns, target);
}

StatusOr<Schedule> quantize::chooseSchedule(const Problem &problem,
                                            const target::Target &target) {
  Schedule schedule;
  schedule.row = chooseRowShape(problem.columns);
  schedule.why = schedule.row.rowsPerBlock > 1
                     ? "short rows: a warp each"
                     : "the row is in registers, where its scale is found";
  QOPT_RETURN_IF_ERROR(isValid(problem, schedule, target));
  return schedule;
}

LaunchShape quantize::launchOf(const Problem &, const Schedule &schedule) {
  LaunchShape launch;
  launch.threads = schedule.row.blockThreads();
  launch.rowsPerBlock = schedule.row.rowsPerBlock;
  launch.sharedBytes = reductionBytes(schedule.row, 1);
  return launch;
}

std::string quantize::symbolOf(const Problem &problem,
                               const target::Target &target) {
  return "quantize_" + std::string(target.name) + "_" +
         std::string(quant::elementOf(problem.activation).name) + "_int8_" +
         std::to_string(problem.columns);
}
