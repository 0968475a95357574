// Schedules of `gemm`: a table of tiles, and the slices and stages that fit. Of
// the candidates the cost model takes the cheapest; within 3 % of each
// other, the first.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Gemm/Gemm.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearPack.h"

#include <algorithm>
#include <optional>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::gemm;

namespace {
/// Warps, and what each has.
struct Row {
  int rowWarps, tokenWarps, strips, tiles, columnWarps, panels, blocksPerSm;
  std::string_view why;
};
} // namespace

// 64 x 64 sums a warp take half of the registers: as many products a byte of
// shared memory as they allow.
static constexpr Row rows[] = {
    {4, 2, 4, 8, 1, 1, 1,
     "256 rows x 128 tokens: least traffic of weights and x"},
    {2, 4, 4, 8, 1, 1, 1,
     "128 rows x 256 tokens: least traffic where x is wider"},
    {2, 2, 4, 8, 1, 1, 2,
     "128 rows x 128 tokens: of two blocks one multiplies while the other "
     "waits"},
    {2, 2, 2, 8, 1, 1, 2,
     "64 rows x 128 tokens: more blocks than larger tiles give"},
    {4, 1, 2, 8, 1, 1, 2,
     "128 rows x few tokens: more blocks than wider tiles give"},
    {4, 1, 4, 8, 1, 1, 2,
     "256 rows x few tokens: a read of x serves four strips"},
    {4, 1, 2, 8, 2, 2, 1,
     "128 rows x few tokens: one block fills an SM, with fewer partial sums"},
    {2, 1, 2, 8, 2, 2, 3,
     "64 rows x few tokens: three blocks hide each other's latency"},
    {2, 1, 4, 8, 2, 2, 2,
     "128 rows x few tokens: a read of x serves four strips, half the "
     "barriers"},
    {4, 1, 4, 8, 1, 2, 2,
     "256 rows x few tokens: a read of x serves four strips, half the "
     "barriers"},
};

// Where none of them fits: a table of codes beside weights without any, on a
// target of little shared memory.
static constexpr Row smallRows[] = {
    {2, 2, 2, 4, 1, 1, 1, "64 rows x 64 tokens: what shared memory has"},
    {4, 1, 2, 8, 1, 1, 1, "128 rows x few tokens: what shared memory has"},
};

constexpr int mostStages = 4, usualStages = 3, mostSlices = 8;

static std::optional<Schedule> candidate(const Problem &problem,
                                         const target::Target &target,
                                         const Row &row, int slices,
                                         int leastStages) {
  Schedule schedule;
  schedule.rowWarps = row.rowWarps;
  schedule.tokenWarps = row.tokenWarps;
  schedule.stripsPerWarp = row.strips;
  schedule.tilesPerWarp = row.tiles;
  schedule.columnWarps = row.columnWarps;
  schedule.panels = row.panels;
  while (row.tokenWarps == 1 && schedule.tilesPerWarp * 4 >= problem.tokens &&
         schedule.tilesPerWarp > 1)
    schedule.tilesPerWarp /= 2;
  schedule.blocksPerSm = row.blocksPerSm;
  schedule.slices = slices;
  // Addresses of a fourth slice's sums, beside 128 of a thread in i32, spill.
  if (problem.activation == quant::ElementType::Int8 && slices > 3 &&
      schedule.stripsPerWarp * schedule.tilesPerWarp >= 32)
    return std::nullopt;
  // Measured: what unpacks weights has other work to lay between; f16 is at the
  // power limit. Sums of int8 that slices share, and numbers of four bits that
  // are looked up ahead of an append, leave no registers for it.
  bool anyFloat = false, anyBook = false;
  for (const Segment &segment : problem.segments) {
    schedule.spread |= !segment.weight.isFloat();
    anyFloat |= segment.weight.isFloat();
    anyBook |= skinny_linear::hasBook(segment.weight) &&
               quant::elementOf(segment.weight.element).bits == 4;
  }
  // Two panels were measured with codes, and where a tile has all tokens.
  if (row.panels > 1 && (anyFloat || schedule.blockTokens() < problem.tokens))
    return std::nullopt;
  // Measured with 32 tokens: half as long again as predicted.
  if (row.columnWarps > 1 && row.blocksPerSm == 1 &&
      schedule.tilesPerWarp < row.tiles)
    return std::nullopt;
  if ((problem.activation == quant::ElementType::Int8 && slices > 1) ||
      (anyBook && problem.append))
    schedule.spread = false;
  schedule.why = row.why;
  int64_t room = target.limits.sharedPerBlock;
  if (row.blocksPerSm > 1)
    room = target.limits.sharedPerSm / row.blocksPerSm -
           target.limits.sharedReserved;
  // Measured: more than three stages of two panels are slower.
  int most = row.panels > 1 ? usualStages : mostStages;
  for (int stages = most; stages >= leastStages; --stages) {
    schedule.stages = stages;
    if (planOf(problem, schedule).sharedBytes <= room &&
        isValid(problem, schedule, target).ok())
      return schedule;
  }
  return std::nullopt;
}

StatusOr<Schedule> gemm::chooseSchedule(const Problem &problem,
                                        const target::Target &target) {
  QOPT_RETURN_IF_ERROR(isValid(problem));
  std::optional<Schedule> best;
  double bestSeconds = 0;
  auto consider = [&](const Row &row, int leastStages) {
    for (int slices = 1; slices <= mostSlices; ++slices) {
      std::optional<Schedule> next =
          candidate(problem, target, row, slices, leastStages);
      if (!next)
        continue;
      double seconds = costOf(problem, *next, target).seconds;
      if (!best || seconds < 0.97 * bestSeconds) {
        best = next;
        bestSeconds = seconds;
      }
    }
  };
  for (const Row &row : rows)
    consider(row, usualStages);
  for (int leastStages : {usualStages, 2})
    for (const Row &row : smallRows)
      if (!best)
        consider(row, leastStages);
  if (best)
    return *best;
  return Status(StatusCode::Infeasible,
                "no schedule of gemm fits " + std::to_string(problem.columns) +
                    " columns on " + std::string(target.name));
}
