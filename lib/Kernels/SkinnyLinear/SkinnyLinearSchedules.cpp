// Schedules of `skinny_linear`: a row of warps for each bucket of tokens, and
// the sizes of stages, rings and slices in closed form. Of the candidates that
// fit, the cost model takes the cheapest; within 2 % of each other, the first.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/SkinnyLinear/SkinnyLinear.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearGroups.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearPack.h"
#include "lib/Quant/Element.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::skinny_linear;
using quant::ElementType;

namespace {
/// Warps and buffers for a bucket.
struct Row {
  int64_t tokens;
  int columnWarps, rowWarps, stripsPerWarp, partials, blocksPerSm;
  std::string_view why;
  int64_t stageBytes = 17 << 10; ///< tried first
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
// from 8 tokens on x needs the space.
static constexpr Row rows[] = {
    {1, 16, 1, 1, 2, 2, "warps share a strip; two kernels fit an SM"},
    {8, 16, 1, 1, 1, 1, "warps share a strip; x takes the space of a block"},
    {16, 8, 1, 2, 1, 1, "warps share two strips, which share a read of x"},
    {16, 8, 1, 1, 1, 1, "warps share a strip, where two leave SMs idle"},
    {32, 4, 2, 2, 1, 1, "two strips share a read of x, which limits"},
    {64, 1, 6, 1, 1, 1, "a strip a warp: the sums fill the registers"},
};

// With slices of the columns a warp has strips of its own.
static constexpr Row slicedRows[] = {
    {16, 1, 8, 1, 1, 1, "slices of x fit; a strip a warp"},
    {16, 1, 12, 1, 1, 1, "slices of x fit; a strip a warp, of twelve",
     34 << 10},
    {32, 1, 8, 2, 1, 1, "slices of x fit; two strips share a read of it"},
    {64, 1, 8, 1, 1, 1, "slices of x fit; the sums fill the registers"},
};

/// The rows of the smallest bucket that holds `tokens`.
static std::vector<Row> rowsOf(int64_t tokens, bool sliced) {
  std::span<const Row> table = sliced ? std::span<const Row>(slicedRows) : rows;
  std::vector<Row> found;
  for (const Row &row : table)
    if (tokens <= row.tokens &&
        (found.empty() || found.front().tokens == row.tokens))
      found.push_back(row);
  return found;
}

/// Whether unpacking and corrections leave no registers for the sums of two
/// strips and four tiles of tokens: masks of codes of two and three bits, or
/// scales of two levels, and zero points of four groups a unit. Seen as spills.
static bool fillsRegisters(const Problem &problem) {
  return problem.tokens >= 32 &&
         std::ranges::any_of(problem.segments, [&](const Segment &segment) {
           const quant::Format &weight = segment.weight;
           return correctsByProduct(problem, weight) &&
                  (quant::elementOf(weight.element).bits < 4 ||
                   weight.hasScaleFields());
         });
}

static Sizes sizesOf(const Row &row, const target::Target &target) {
  int64_t half = target.limits.sharedPerSm / 2 - target.limits.sharedReserved;
  int64_t ring = int64_t(target.rates.bytesInFlight.value);
  return {row.blocksPerSm == 2 ? half : int64_t(target.limits.sharedPerBlock),
          ring * 3 / 2};
}

static int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Whether one token's codes of less than 8 bits take more instructions than
/// memory leaves time for: a half of bf16 has room for one of them, so that
/// three of four are shifted. Half of the warps then have two units a stage
/// each, whose ring costs 16 instructions a stage.
static bool sharesStages(const Problem &problem) {
  return problem.tokens == 1 && problem.activation == ElementType::BF16 &&
         std::ranges::any_of(problem.segments, [](const Segment &segment) {
           return quant::elementOf(segment.weight.element).bits < 8;
         });
}

/// Whether one token's weights need more registers than 16 warps of two blocks
/// have, 56: masks of codes of two bits, or numbers of four bits that are
/// looked up, with scales of groups. Seen as spills.
static bool fillsSmallWarps(const Problem &problem) {
  return problem.tokens == 1 &&
         std::ranges::any_of(problem.segments, [](const Segment &segment) {
           int64_t groups = summedGroups(segment.weight);
           int bits = quant::elementOf(segment.weight.element).bits;
           return bits == 2
                      ? groups > 0
                      : bits == 4 && groups == 2 && hasBook(segment.weight);
         });
}

/// Turns of the warps in a stage, at most: four of codes of two bits with four
/// groups a unit, done at once, need more registers than eight warps have.
static int64_t mostTurns(const quant::Format &weight, int64_t tokens) {
  bool many = tokens == 1 && summedGroups(weight) == 4 &&
              quant::elementOf(weight.element).bits == 2;
  return many ? 3 : INT64_MAX;
}

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
    int64_t turns =
        std::max<int64_t>(bytes / turn, sharesStages(problem) ? 2 : 1);
    turns = std::min({turns, most, mostTurns(segment.weight, problem.tokens)});
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
  // What is fused needs more registers than 16 warps of two blocks have.
  bool fused = !problem.norm.empty() || problem.sum || problem.gate ||
               problem.append || problem.source;
  bool half = fused || sharesStages(problem) || fillsSmallWarps(problem);
  schedule.columnWarps =
      half && row.blocksPerSm > 1 ? row.columnWarps / 2 : row.columnWarps;
  schedule.rowWarps = row.rowWarps;
  schedule.stripsPerWarp = fillsRegisters(problem) ? 1 : row.stripsPerWarp;
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

/// Blocks of a slice: one an SM, where there is work. Where some SMs had none,
/// blocks of the next kernel would meet on them two by two.
static int64_t blocksOf(const Problem &problem, const Schedule &schedule,
                        const target::Target &target) {
  int64_t most = target.multiprocessors / schedule.slices, blocks = 0;
  if (most < 1)
    return 0;
  for (size_t i = 0; i < problem.segments.size(); ++i) {
    SegmentPlan segment = segmentPlanOf(problem, schedule, i);
    blocks =
        std::max(blocks, schedule.wholeTiles ? segment.tiles
                                             : segment.tiles * segment.steps);
  }
  return std::min(blocks, most);
}

/// Stages of about `ring` bytes, and twice as many with slices, where one block
/// an SM is meant to be and leaves room: two would meet on some.
static int64_t stagesOf(const Plan &plan, Sizes sizes, int slices) {
  int64_t others = plan.sharedBytes - plan.stageBytes;
  int64_t wanted =
      std::max<int64_t>(sizes.ring * (slices > 1 ? 2 : 1) / plan.stageBytes, 2);
  // The barriers of the stages are in that space, too.
  return std::min(wanted, (sizes.shared - others - 256) / plan.stageBytes);
}

/// Stages on their way at once. What the kernel before reads waits behind them:
/// small matrices are there in time all the same, large ones need the depth.
/// Measured at one quarter, half and all of the ring. One token has so little
/// to wait for that two are best: 4 to 5 % less than one for a launch alone, 1
/// to 2 % more behind another.
static int64_t inFlightOf(const Problem &problem, const Plan &plan, Sizes sizes,
                          int64_t blocks) {
  int64_t ofBlock = packedBytes(problem) / blocks;
  if (ofBlock > 4 * sizes.ring)
    return std::max<int64_t>(sizes.ring / plan.stageBytes, 1);
  int64_t part = ofBlock > 2 * sizes.ring ? 2 : 4;
  return std::max<int64_t>(sizes.ring / part / plan.stageBytes,
                           problem.tokens == 1 ? 2 : 1);
}

static std::optional<Schedule> candidate(const Problem &problem,
                                         const target::Target &target,
                                         const Row &row, Choice choice) {
  Sizes sizes = sizesOf(row, target);
  Schedule schedule;
  schedule.grid = schedule.slices = choice.slices;
  schedule.wholeTiles = choice.wholeTiles;
  setWarps(schedule, problem, row, choice.stageBytes);
  schedule.partials = row.partials;
  schedule.blocksPerSm = row.blocksPerSm;
  schedule.why =
      schedule.columnWarps == 1 && row.columnWarps > 1
          ? "a strip a warp: a turn of more is beyond a stage"
      : schedule.stripsPerWarp < row.stripsPerWarp
          ? "one strip a warp, whose sums and masks fill the registers"
          : row.why;
  schedule.unitsPerStage = unitsOfStages(problem, schedule, choice.stageBytes);
  schedule.stages = 1;
  Plan plan = planOf(problem, schedule);
  int64_t stages = stagesOf(plan, sizes, choice.slices);
  int64_t blocks = blocksOf(problem, schedule, target);
  if (stages < 2 || blocks < 1)
    return std::nullopt;
  schedule.stages = int(stages);
  schedule.grid = int(blocks) * choice.slices;
  schedule.inFlight =
      int(inFlightOf(problem, plan, sizes, blocks * choice.slices));
  if (!isValid(problem, schedule, target).ok())
    return std::nullopt;
  return schedule;
}

/// More of them are read by one warp at once: only where x does not fit else.
constexpr int64_t fewSlices = 16, mostSlices = 64;

StatusOr<Schedule> skinny_linear::chooseSchedule(const Problem &problem,
                                                 const target::Target &target) {
  QOPT_RETURN_IF_ERROR(isValid(problem));
  int64_t units = ceilDiv(problem.columns, unitColumns);
  std::optional<Schedule> best;
  double bestSeconds = 0;
  auto consider = [&](const Row &row, Choice choice) {
    std::optional<Schedule> next = candidate(problem, target, row, choice);
    if (!next)
      return;
    double seconds = costOf(problem, *next, target).seconds;
    if (best && seconds >= 0.98 * bestSeconds)
      return;
    best = next;
    bestSeconds = seconds;
  };
  for (int64_t slices = 1;
       slices <= std::min(units, best ? fewSlices : mostSlices); ++slices)
    for (const Row &row : rowsOf(problem.tokens, slices > 1))
      for (int64_t stageBytes :
           {row.stageBytes, int64_t(9 << 10), int64_t(34 << 10)})
        for (bool wholeTiles : {true, false})
          consider(row, {int(slices), stageBytes, wholeTiles});
  // One unit of columns has no slices, and a small shared memory no room for a
  // unit of six strips beside a table of codes.
  for (Row row : rowsOf(problem.tokens, /*sliced=*/false))
    while (!best && row.rowWarps > 1) {
      row.rowWarps /= 2;
      consider(row, {1, int64_t(9 << 10), true});
    }
  if (best)
    return *best;
  return Status(StatusCode::Infeasible,
                "no schedule of skinny_linear fits " +
                    std::to_string(problem.tokens) + " tokens of " +
                    std::to_string(problem.columns) + " columns on " +
                    std::string(target.name));
}
