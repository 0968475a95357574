// Schedules of `skinny_linear`: a row of warps for each bucket of tokens, and
// the sizes of stages, rings and slices in closed form. Of the candidates that
// fit, the cost model takes the cheapest; where they cost the same, the first.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/SkinnyLinear/SkinnyLinear.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearPack.h"

#include <algorithm>
#include <optional>
#include <span>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::skinny_linear;

namespace {
/// Warps and buffers for a bucket.
struct Row {
  int64_t tokens;
  int columnWarps, rowWarps, stripsPerWarp, partials, blocksPerSm;
  std::string_view why;
};

/// What has to fit and what is aimed at, bytes.
struct Sizes {
  int64_t shared; ///< of a block
  int64_t ring;   ///< in flight, where it fits
};

/// What is tried.
struct Choice {
  int slices;
  int64_t stageBytes;
  bool wholeTiles;
};
} // namespace

// Measured on an H200 at the shapes of an 8B decoder. One token leaves room for
// the next kernel's block, whose weights then stream in while this one ends;
// from 8 tokens on x needs the space. Two strips a warp halve the reads of x.
static constexpr Row rows[] = {
    {1, 8, 1, 1, 1, 2, "8 warps share a strip; two kernels fit an SM"},
    {8, 8, 1, 1, 1, 1, "8 warps share a strip; x takes the space of a block"},
    {16, 8, 1, 2, 1, 1, "8 warps share two strips, which share a read of x"},
    {32, 4, 2, 2, 1, 1, "two strips share a read of x, which limits"},
    {64, 1, 6, 1, 1, 1, "a strip a warp: the sums fill the registers"},
};

// With slices of the columns a warp has strips of its own.
static constexpr Row slicedRows[] = {
    {16, 1, 8, 1, 1, 1, "slices of x fit; a strip a warp"},
    {32, 1, 8, 2, 1, 1, "slices of x fit; two strips share a read of it"},
    {64, 1, 8, 1, 1, 1, "slices of x fit; the sums fill the registers"},
};

static const Row &rowOf(int64_t tokens, bool sliced) {
  auto find = [&](std::span<const Row> rows) -> const Row & {
    for (const Row &row : rows)
      if (tokens <= row.tokens)
        return row;
    return rows.back();
  };
  return sliced ? find(slicedRows) : find(rows);
}

static Sizes sizesOf(const Row &row, const target::Target &target) {
  int64_t half = target.limits.sharedPerSm / 2 - target.limits.sharedReserved;
  int64_t ring = int64_t(target.rates.bytesInFlight.value);
  return {row.blocksPerSm == 2 ? half : int64_t(target.limits.sharedPerBlock),
          ring * 3 / 2};
}

static int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Units of each segment in a stage of about `bytes`.
static std::vector<int> unitsOfStages(const Problem &problem,
                                      const Schedule &schedule, int64_t bytes) {
  std::vector<int> units;
  int64_t perSlice =
      ceilDiv(ceilDiv(problem.columns, unitColumns), schedule.slices);
  int64_t most = ceilDiv(perSlice, schedule.columnWarps);
  for (const Segment &segment : problem.segments) {
    int64_t turn = schedule.columnWarps * schedule.tileStrips() *
                   unitBytes(segment.weight);
    int64_t turns = std::clamp<int64_t>(bytes / turn, 1, most);
    units.push_back(int(turns * schedule.columnWarps));
  }
  return units;
}

/// Fewer warps where one turn of them is more than a stage.
static void setWarps(Schedule &schedule, const Problem &problem, const Row &row,
                     int64_t stageBytes) {
  int64_t widest = 0;
  for (const Segment &segment : problem.segments)
    widest = std::max(widest, unitBytes(segment.weight));
  schedule.columnWarps = row.columnWarps;
  schedule.rowWarps = row.rowWarps;
  schedule.stripsPerWarp = row.stripsPerWarp;
  // Eight warps and the loader's have 168 registers each, seven have 255: sums
  // and scales of small groups need them.
  bool smallGroups = false;
  for (const Segment &segment : problem.segments)
    smallGroups |= groupsPerUnit(segment.weight) > 1;
  if (schedule.slices > 1 && problem.tokens >= 32 && smallGroups)
    schedule.rowWarps = std::min(schedule.rowWarps, 7);
  auto tooLarge = [&] {
    return schedule.columnWarps * schedule.tileStrips() * widest > stageBytes;
  };
  while (schedule.columnWarps > 1 && tooLarge())
    schedule.columnWarps /= 2;
  while (schedule.slices > 1 && schedule.rowWarps > 1 && tooLarge())
    schedule.rowWarps /= 2;
}

/// Blocks of a slice: at most one an SM, and as few as do not prolong the work
/// where they work on whole tiles.
static int64_t blocksOf(const Problem &problem, const Schedule &schedule,
                        const target::Target &target) {
  int64_t most = target.multiprocessors / schedule.slices, blocks = 0;
  if (most < 1)
    return 0;
  for (size_t i = 0; i < problem.segments.size(); ++i) {
    SegmentPlan segment = segmentPlanOf(problem, schedule, i);
    if (!schedule.wholeTiles)
      blocks = std::max(blocks, segment.tiles * segment.steps);
    else if (problem.segments.size() == 1)
      blocks = ceilDiv(segment.tiles, ceilDiv(segment.tiles, most));
    else
      blocks = std::max(blocks, segment.tiles);
  }
  return std::min(blocks, most);
}

static std::optional<Schedule>
candidate(const Problem &problem, const target::Target &target, Choice choice) {
  const Row &row = rowOf(problem.tokens, choice.slices > 1);
  Sizes sizes = sizesOf(row, target);
  Schedule schedule;
  schedule.grid = schedule.slices = choice.slices;
  schedule.wholeTiles = choice.wholeTiles;
  setWarps(schedule, problem, row, choice.stageBytes);
  schedule.partials = row.partials;
  schedule.blocksPerSm = row.blocksPerSm;
  schedule.why = row.why;
  schedule.unitsPerStage = unitsOfStages(problem, schedule, choice.stageBytes);
  schedule.stages = 1;
  Plan plan = planOf(problem, schedule);
  int64_t space = sizes.shared - (plan.sharedBytes - plan.stageBytes);
  // The barriers of the stages are in that space, too.
  int64_t wanted = std::max<int64_t>(sizes.ring / plan.stageBytes, 2);
  int64_t stages = std::min(wanted, (space - 256) / plan.stageBytes);
  int64_t blocks = blocksOf(problem, schedule, target);
  if (stages < 2 || blocks < 1)
    return std::nullopt;
  schedule.stages = int(stages);
  schedule.grid = int(blocks) * choice.slices;
  if (!isValid(problem, schedule, target).ok())
    return std::nullopt;
  return schedule;
}

/// More of them would be read by one warp at once.
constexpr int64_t mostSlices = 16;

StatusOr<Schedule> skinny_linear::chooseSchedule(const Problem &problem,
                                                 const target::Target &target) {
  QOPT_RETURN_IF_ERROR(isValid(problem));
  int64_t units = ceilDiv(problem.columns, unitColumns);
  std::optional<Schedule> best;
  double bestSeconds = 0;
  for (int64_t slices = 1; slices <= std::min(units, mostSlices); ++slices)
    for (Choice choice : {Choice{int(slices), 17 << 10, true},
                          Choice{int(slices), 17 << 10, false},
                          Choice{int(slices), 9 << 10, true},
                          Choice{int(slices), 9 << 10, false},
                          Choice{int(slices), 34 << 10, true},
                          Choice{int(slices), 34 << 10, false}}) {
      std::optional<Schedule> next = candidate(problem, target, choice);
      if (!next)
        continue;
      double seconds = costOf(problem, *next, target).seconds;
      if (!best || seconds < 0.999 * bestSeconds) {
        best = next;
        bestSeconds = seconds;
      }
    }
  if (best)
    return *best;
  return Status(StatusCode::Infeasible,
                "no schedule of skinny_linear fits " +
                    std::to_string(problem.tokens) + " tokens of " +
                    std::to_string(problem.columns) + " columns on " +
                    std::string(target.name));
}
