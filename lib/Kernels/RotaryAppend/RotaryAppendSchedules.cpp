// What can be rotated and appended, and how many channels a lane has.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/RotaryAppend/RotaryAppend.h"
#include "lib/Kernels/SymbolName.h"
#include "lib/Quant/Element.h"

#include <algorithm>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::rotary_append;
using quant::ElementType;

static Status isValidRotation(const Problem &problem) {
  auto unsupported = [](std::string message) {
    return Status(StatusCode::Unsupported, std::move(message));
  };
  std::string got = "rotary embedding of " + std::to_string(problem.rotated) +
                    " of " + std::to_string(problem.cache.keySize) +
                    " channels; expected ";
  if (problem.rotated < 0 || problem.rotated > problem.cache.keySize)
    return Status(StatusCode::InvalidArgument, got + "at most all");
  if (problem.rotated % 2)
    return unsupported(got + "an even number");
  return Status();
}

Status rotary_append::isValid(const Problem &problem) {
  QOPT_RETURN_IF_ERROR(problem.cache.check());
  QOPT_RETURN_IF_ERROR(isValidRotation(problem));
  if (problem.activation != ElementType::F16 &&
      problem.activation != ElementType::BF16)
    return Status(StatusCode::Unsupported, "activations are f16 or bf16");
  if (problem.heads < 0 || problem.pageTableStride < 1)
    return Status(StatusCode::InvalidArgument,
                  "an append needs a page table and not less than no queries");
  if (problem.norm && problem.heads < 1)
    return Status(StatusCode::InvalidArgument,
                  "norms of heads without queries");
  const cuda::KvPageLayout &cache = problem.cache;
  auto holds = [](const Columns &columns, int64_t heads, int64_t size) {
    return columns.first >= 0 && columns.stride >= columns.first + heads * size;
  };
  if ((problem.heads && !holds(problem.query, problem.heads, cache.keySize)) ||
      !holds(problem.key, cache.keyHeads, cache.keySize) ||
      !holds(problem.value, cache.keyHeads, cache.valueSize))
    return Status(StatusCode::InvalidArgument,
                  "rows that are too short for their heads");
  return Status();
}

/// Whether every access of `width` channels is aligned and of one kind.
static bool suits(const Problem &problem, int width) {
  bool suits = problem.cache.keySize % width == 0 &&
               problem.cache.valueSize % width == 0;
  for (const Columns &columns : {problem.query, problem.key, problem.value})
    suits &= columns.first % width == 0 && columns.stride % width == 0;
  // Two channels are rotated one by one where the halves are odd.
  bool apart = problem.pairs == Pairs::Halves && width > 2;
  return suits && problem.rotated / (apart ? 2 : 1) % width == 0;
}

bool rotary_append::hasOddHeads(const Problem &problem) {
  return !suits(problem, 2);
}

Status rotary_append::isValid(const Problem &problem, const Schedule &schedule,
                              const target::Target &target) {
  QOPT_RETURN_IF_ERROR(isValid(problem));
  bool known = false;
  for (int width : {2, 4, 8})
    known |= schedule.width == width;
  bool apart = schedule.width == 2 && hasOddHeads(problem);
  if (!known || !(apart || suits(problem, schedule.width)))
    return Status(StatusCode::Infeasible, "heads that are not read " +
                                              std::to_string(schedule.width) +
                                              " channels at a time");
  return isValidBlock(schedule.warps * int64_t(32), target);
}

StatusOr<Schedule> rotary_append::chooseSchedule(const Problem &problem,
                                                 const target::Target &target) {
  QOPT_RETURN_IF_ERROR(isValid(problem));
  Schedule schedule;
  int64_t size = std::max(problem.cache.keySize, problem.cache.valueSize);
  for (int width : {4, 8})
    if (suits(problem, width) && size > int64_t(width) / 2 * 32)
      schedule.width = width;
  schedule.why = "a warp has a head, in one access where it fits";
  QOPT_RETURN_IF_ERROR(isValid(problem, schedule, target));
  return schedule;
}

int rotary_append::widthOf(const Problem &problem,
                           const target::Target &target) {
  auto schedule = chooseSchedule(problem, target);
  return schedule.ok() ? schedule->width : 2;
}

LaunchShape rotary_append::launchOf(const Problem &problem,
                                    const Schedule &schedule) {
  LaunchShape launch;
  launch.threads = schedule.warps * 32;
  int64_t jobs = problem.heads + 2 * problem.cache.keyHeads;
  launch.blocksPerRow = (jobs + schedule.warps - 1) / schedule.warps;
  return launch;
}

std::string rotary_append::symbolOf(const Problem &problem,
                                    const target::Target &target) {
  const cuda::KvPageLayout &cache = problem.cache;
  std::string name = "rotary_append_" + std::string(target.name);
  name += "_" + std::string(quant::elementOf(problem.activation).name);
  for (const quant::Format &format : {cache.key, cache.value})
    name += "_" + quant::spell(format);
  auto add = [&](std::string_view letter, int64_t number) {
    name += std::string(letter) + std::to_string(number);
  };
  add("_h", problem.heads);
  for (int64_t number : {cache.keyHeads, cache.keySize, cache.valueSize})
    add("x", number);
  if (cache.recent) {
    add("_l", cache.recent);
    add("x", cache.first);
  }
  add("_p", cache.page);
  add("x", problem.pageTableStride);
  add(problem.pairs == Pairs::Halves ? "_r" : "_i", problem.rotated);
  if (problem.angles == Angles::Computed)
    name += "_s" + spellBits(problem.angleScale);
  if (problem.norm)
    name += std::string(problem.norm->kind == norm::Kind::Layer ? "_l" : "_n") +
            spellBits(problem.norm->epsilon) + "_" +
            std::string(quant::elementOf(problem.norm->scale).name) +
            (problem.norm->perHead ? "_heads" : "");
  name += problem.queries == Queries::InPlace ? "" : "_q";
  for (const Columns &columns : {problem.query, problem.key, problem.value}) {
    add("_c", columns.first);
    add("x", columns.stride);
  }
  return name;
}
