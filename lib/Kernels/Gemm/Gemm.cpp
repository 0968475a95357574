// What follows from a problem and a schedule: sizes, names and whether they can
// be built. No MLIR.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Gemm/Gemm.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearPack.h"
#include "lib/Quant/Element.h"

#include <algorithm>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::gemm;

static int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

static int64_t columnsPerStep(const Problem &problem,
                              const Schedule &schedule) {
  return schedule.panels * panelRowBytes * 8 /
         quant::elementOf(problem.activation).bits;
}

int64_t gemm::bucketOf(int64_t tokens) {
  for (int64_t bucket : {16, 32, 64, 128, 256, 512})
    if (tokens <= bucket)
      return bucket;
  return 2048;
}

// Validity --------------------------------------------------------------------

static Status unsupported(std::string message) {
  return Status(StatusCode::Unsupported, std::move(message));
}

static bool isPower(int64_t number) { return (number & (number - 1)) == 0; }

/// Blocks have all of a head's rows and some of the tokens.
static Status isValidAppend(const cuda::KvPageLayout &cache) {
  if (cache.keyGroup())
    return unsupported("gemm appends no keys in groups of positions, some of "
                       "which other blocks have");
  if (cache.recent)
    return unsupported("gemm appends no latest positions, of which a sequence "
                       "has several tokens'");
  if (!isPower(cache.keySize) || cache.keySize == 1)
    return unsupported("gemm appends heads that fill tiles, of a power of two "
                       "of channels from 2 on; got " +
                       std::to_string(cache.keySize));
  return Status();
}

Status gemm::isValid(const Problem &problem) {
  if (problem.tokens < 1)
    return Status(StatusCode::InvalidArgument, "a product without tokens");
  if (problem.sum || !problem.norm.empty())
    return unsupported("gemm has no norm ahead of its products");
  if (problem.source)
    return unsupported("gemm reads codes and makes none");
  // What skinny_linear refuses for another reason than its buckets.
  Problem same = problem;
  same.tokens = skinny_linear::largestBucket;
  QOPT_RETURN_IF_ERROR(skinny_linear::isValid(same));
  return problem.append ? isValidAppend(problem.append->cache) : Status();
}

static Status infeasible(std::string message) {
  return Status(StatusCode::Infeasible, std::move(message));
}

static Status isValidTile(const Problem &problem, const Schedule &schedule) {
  // Of 255 registers; f32 zero points beside f32 scales take up to 32 more than
  // formats do else.
  bool wideZeros =
      std::ranges::any_of(problem.segments, [](const Segment &segment) {
        return skinny_linear::hasWideScales(segment.weight) &&
               skinny_linear::hasWideZeros(segment.weight);
      });
  int accumulators = wideZeros ? 64 : 128;
  int sums = 4 * schedule.stripsPerWarp * schedule.tilesPerWarp;
  if (sums > accumulators)
    return infeasible(std::to_string(sums) +
                      " sums a thread; expected at most " +
                      std::to_string(accumulators));
  if (!isPower(schedule.stripsPerWarp) || !isPower(schedule.tilesPerWarp) ||
      !isPower(schedule.threads()) || !isPower(schedule.panels))
    return infeasible("strips, tiles, panels and threads of a schedule are "
                      "powers of two");
  int64_t rows = schedule.blockStrips() * skinny_linear::stripRows;
  if (problem.append && rows % problem.append->cache.keySize)
    return infeasible("an append needs whole heads; got tiles of " +
                      std::to_string(rows) + " rows and heads of " +
                      std::to_string(problem.append->cache.keySize));
  int64_t columns = columnsPerStep(problem, schedule);
  if (columns > skinny_linear::unitColumns)
    return infeasible("a stage of " + std::to_string(columns) +
                      " columns; expected at most " +
                      std::to_string(skinny_linear::unitColumns));
  if (schedule.columnWarps > 2 || schedule.panels % schedule.columnWarps ||
      schedule.tilesPerWarp % schedule.columnWarps)
    return infeasible(std::to_string(schedule.columnWarps) +
                      " column warps for " + std::to_string(schedule.panels) +
                      " panels and " + std::to_string(schedule.tilesPerWarp) +
                      " tiles; expected 1 or 2 that divide both");
  for (size_t i = 0; i < problem.segments.size(); ++i) {
    const quant::Format &format = problem.segments[i].weight;
    skinny_linear::CodePlane first = skinny_linear::codePlanes(format).front();
    int64_t pieces = first.blockBytes() * columns / 16 /
                     skinny_linear::productsPerBlock(format) / 16;
    if (schedule.threads() < pieces ||
        schedule.blockStrips() * pieces < schedule.threads())
      return infeasible("the codes of a strip are not copied evenly by " +
                        std::to_string(schedule.threads()) + " threads");
  }
  if (schedule.blockTokens() * panelRowBytes / 16 < schedule.threads())
    return infeasible("x is not copied evenly by " +
                      std::to_string(schedule.threads()) + " threads");
  return Status();
}

Status gemm::isValid(const Problem &problem, const Schedule &schedule,
                     const target::Target &target) {
  QOPT_RETURN_IF_ERROR(isValid(problem));
  if (!target.features.asyncCopy)
    return unsupported(std::string(target.name) + " has no asynchronous copy");
  if (schedule.rowWarps < 1 || schedule.tokenWarps < 1 ||
      schedule.stripsPerWarp < 1 || schedule.tilesPerWarp < 1 ||
      schedule.columnWarps < 1 || schedule.panels < 1 || schedule.stages < 2 ||
      schedule.slices < 1 || schedule.blocksPerSm < 1)
    return infeasible("a schedule without warps, sums or stages");
  QOPT_RETURN_IF_ERROR(isValidBlock(schedule.threads(), target));
  QOPT_RETURN_IF_ERROR(isValidTile(problem, schedule));
  Plan plan = planOf(problem, schedule);
  if ((schedule.slices - 1) * plan.stepsPerSlice >= plan.steps)
    return infeasible("the last of " + std::to_string(schedule.slices) +
                      " slices has no columns");
  if (plan.sharedBytes > target.limits.sharedPerBlock)
    return infeasible(std::to_string(plan.sharedBytes) +
                      " bytes of shared memory; " + std::string(target.name) +
                      " has " + std::to_string(target.limits.sharedPerBlock) +
                      " a block");
  return Status();
}

// Sizes -----------------------------------------------------------------------

SegmentPlan gemm::segmentPlanOf(const Problem &problem,
                                const Schedule &schedule, size_t segment) {
  using namespace skinny_linear;
  SegmentPlan plan{};
  for (size_t i = 0; i <= segment; ++i) {
    const Segment &rows = problem.segments[i];
    plan.firstRow += i ? problem.segments[i - 1].rows : 0;
    plan.firstTile += plan.tiles;
    plan.packedOffset += i ? packedBytes(problem.segments[i - 1],
                                         problem.columns, problem.paired)
                           : 0;
    plan.strips = problem.paired ? ceilDiv(rows.rows / 2, 8)
                                 : ceilDiv(rows.rows, stripRows);
    plan.tiles = ceilDiv(plan.strips, schedule.blockStrips());
  }
  const quant::Format &format = problem.segments[segment].weight;
  int64_t units = ceilDiv(problem.columns, unitColumns);
  plan.unitBytes = unitBytes(format);
  plan.scaleOffset = plan.packedOffset + plan.strips * units * plan.unitBytes;
  int64_t columns = columnsPerStep(problem, schedule);
  plan.codeBytes =
      stripRows * columns * quant::elementOf(format.element).bits / 8;
  plan.bookOffset =
      plan.packedOffset +
      packedBytes(problem.segments[segment], problem.columns, problem.paired) -
      packedBookBytes(format);
  int64_t stepsPerUnit = unitColumns / columns;
  if (int64_t planes = planesPerUnit(format))
    plan.groups = std::max<int64_t>(planes / stepsPerUnit, 1);
  plan.stripBytes =
      plan.codeBytes +
      plan.groups * (scalePlaneBytes(format) + zeroPlaneBytes(format)) +
      unitBytes(format) - scaleUnitsOffset(format);
  return plan;
}

Plan gemm::planOf(const Problem &problem, const Schedule &schedule) {
  Plan plan{};
  plan.columnsPerStep = columnsPerStep(problem, schedule);
  plan.steps = ceilDiv(problem.columns, plan.columnsPerStep);
  plan.stepsPerSlice = ceilDiv(plan.steps, schedule.slices);
  plan.panelBytes = schedule.blockTokens() * panelRowBytes;
  plan.activationBytes = schedule.panels * plan.panelBytes;
  int64_t stripBytes = 0;
  for (size_t i = 0; i < problem.segments.size(); ++i) {
    SegmentPlan segment = segmentPlanOf(problem, schedule, i);
    plan.rowTiles += segment.tiles;
    stripBytes = std::max(stripBytes, segment.stripBytes);
  }
  constexpr int64_t align = 128;
  plan.stageBytes = plan.activationBytes +
                    ceilDiv(schedule.blockStrips() * stripBytes, align) * align;
  // Four floats more than the rows, so that the lanes of a warp, which have two
  // tokens and eight rows each, write to different banks.
  plan.slabStride = schedule.stripsPerWarp * skinny_linear::stripRows + 4;
  plan.slabBytes = schedule.endTiles() * 8 * plan.slabStride * 4;
  plan.givenBytes = schedule.columnWarps == 1
                        ? 0
                        : schedule.stripsPerWarp * schedule.endTiles() * 512;
  int64_t warpBytes = std::max(plan.slabBytes, plan.givenBytes);
  int64_t flag = schedule.slices > 1 ? align : 0;
  if (problem.append)
    plan.placeBytes =
        ceilDiv(schedule.blockTokens() * tokenPlaceBytes, align) * align;
  plan.tileBytes =
      std::max(schedule.stages * plan.stageBytes,
               ceilDiv(schedule.warps() * warpBytes, align) * align);
  plan.bookBytes = skinny_linear::bookBytes(problem);
  plan.sharedBytes = flag + plan.placeBytes + plan.bookBytes + plan.tileBytes;
  return plan;
}

Launch gemm::launchOf(const Problem &problem, const Schedule &schedule,
                      int64_t tokens) {
  int64_t tiles = planOf(problem, schedule).rowTiles *
                  ceilDiv(tokens, schedule.blockTokens());
  Launch launch{tiles * schedule.slices, 0, 0};
  if (schedule.slices > 1) {
    int64_t sums = schedule.blockStrips() * skinny_linear::stripRows *
                   schedule.blockTokens();
    launch.workspaceBytes = launch.grid * sums * 4;
    launch.counters = tiles;
  }
  return launch;
}

std::string gemm::symbolOf(const Problem &problem, const Schedule &schedule,
                           const target::Target &target) {
  std::string name = "gemm_" + std::string(target.name) + "_" +
                     skinny_linear::nameOf(problem.activation, problem.codes) +
                     "_";
  for (const Segment &segment : problem.segments)
    name += (&segment == &problem.segments.front() ? "" : "_x_") +
            quant::spell(segment.weight);
  name += "_" + std::string(quant::elementOf(problem.output).name) + "_" +
          std::to_string(schedule.blockStrips() * skinny_linear::stripRows) +
          "x" + std::to_string(schedule.blockTokens());
  // One model has tiles of a size with one panel and with two.
  if (schedule.panels > 1)
    name += "_p" + std::to_string(schedule.panels);
  if (schedule.slices > 1)
    name += "_s" + std::to_string(schedule.slices);
  if (problem.paired)
    name += "_paired";
  if (problem.gate)
    name += "_" + std::string(kernels::nameOf(*problem.gate));
  return name + (problem.append ? "_append" : "") +
         skinny_linear::nameOf(problem.steps);
}
