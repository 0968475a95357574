// What can be gathered, and how wide.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/GatherRows/GatherRows.h"
#include "lib/Quant/Element.h"
#include "lib/Quant/Storage.h"

#include <algorithm>
#include <cstdint>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::gather_rows;
using quant::Granularity;

static Status invalid(std::string message) {
  return Status(StatusCode::InvalidArgument, std::move(message));
}

Status gather_rows::isValid(const Problem &problem) {
  if (problem.columns < 1 || problem.columns > INT32_MAX / 4)
    return invalid("rows of " + std::to_string(problem.columns) + " columns");
  if (problem.table == Table::Weight &&
      (problem.rows < 1 || problem.rows > INT32_MAX))
    return invalid("a table of " + std::to_string(problem.rows) + " rows");
  if (problem.table == Table::Tensor && !problem.format.isFloat())
    return invalid("a tensor has no scales; got the format \"" +
                   quant::spell(problem.format) + "\"");
  if (!quant::elementOf(problem.output).isFloat)
    return Status(StatusCode::Unsupported, "results are f16, bf16 or f32");
  return Status();
}

/// Whether `width` codes of a row have one scale and begin with a byte.
static bool suits(const Problem &problem, int width) {
  const quant::Format &format = problem.format;
  if (problem.columns % width)
    return false;
  if (width > 1 && width * int(quant::elementOf(format.element).bits) % 8)
    return false;
  return !format.isGrouped() || format.groupSize % width == 0;
}

Status gather_rows::isValid(const Problem &problem, const Schedule &schedule,
                            const target::Target &target) {
  QOPT_RETURN_IF_ERROR(isValid(problem));
  auto infeasible = [](std::string message) {
    return Status(StatusCode::Infeasible, std::move(message));
  };
  bool known = false;
  for (int width : {1, 2, 4, 8})
    known |= schedule.width == width;
  if (!known || !suits(problem, schedule.width))
    return infeasible("rows of " + std::to_string(problem.columns) +
                      " elements of \"" + quant::spell(problem.format) +
                      "\" are not read " + std::to_string(schedule.width) +
                      " at a time");
  return isValidBlock(schedule.threads, target);
}

StatusOr<Schedule> gather_rows::chooseSchedule(const Problem &problem,
                                               const target::Target &target) {
  QOPT_RETURN_IF_ERROR(isValid(problem));
  Schedule schedule;
  for (int width : {2, 4, 8})
    if (suits(problem, width))
      schedule.width = width;
  int64_t accesses = (problem.columns + schedule.width - 1) / schedule.width;
  schedule.threads =
      int(std::clamp<int64_t>((accesses + 31) / 32 * 32, 32, 256));
  schedule.why = "every thread makes one access, so all are in flight at once";
  QOPT_RETURN_IF_ERROR(isValid(problem, schedule, target));
  return schedule;
}

LaunchShape gather_rows::launchOf(const Problem &problem,
                                  const Schedule &schedule) {
  LaunchShape launch;
  launch.threads = schedule.threads;
  int64_t perBlock = int64_t(schedule.threads) * schedule.width;
  launch.blocksPerRow = (problem.columns + perBlock - 1) / perBlock;
  return launch;
}

std::string gather_rows::symbolOf(const Problem &problem,
                                  const target::Target &target) {
  std::string name = "gather_rows_";
  name += std::string(target.name) + "_" + quant::spell(problem.format) + "_";
  name += std::string(quant::elementOf(problem.output).name) + "_";
  if (problem.table == Table::Weight)
    name += std::to_string(problem.rows) + "x";
  return name + std::to_string(problem.columns);
}
