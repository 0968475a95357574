// What follows from a problem and a schedule: sizes, names and whether they can
// be built. No MLIR.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/SkinnyLinear/SkinnyLinear.h"
#include "lib/Kernels/LaunchShape.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearGroups.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearPack.h"
#include "lib/Kernels/SymbolName.h"
#include "lib/Quant/Element.h"

#include <algorithm>
#include <cmath>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::skinny_linear;
using quant::ElementType;
using quant::Granularity;

static int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t roundUp(int64_t a, int64_t b) { return ceilDiv(a, b) * b; }

int64_t Problem::rows() const {
  int64_t rows = 0;
  for (const Segment &segment : segments)
    rows += segment.rows;
  return rows;
}

int64_t Problem::outputColumns() const { return gate ? rows() / 2 : rows(); }

int64_t Problem::heads() const {
  return append ? append->heads + 2 * append->cache.keyHeads : 0;
}

size_t Problem::regionOperands() const {
  return operands.size() -
         size_t(std::ranges::count(steps, Step::Kind::Add, &Step::kind));
}

std::string skinny_linear::nameOf(const std::vector<Step> &steps) {
  std::string text;
  for (const Step &step : steps)
    switch (step.kind) {
    case Step::Kind::Activate:
      text += "_" + std::string(kernels::nameOf(step.function));
      break;
    case Step::Kind::Scale:
      text += "_scale" + spellBits(step.factor);
      break;
    case Step::Kind::Add:
      text += "_add";
      break;
    }
  return text;
}

int64_t skinny_linear::bucketOf(int64_t tokens) {
  for (int64_t bucket : {1, 8, 16, 32})
    if (tokens <= bucket)
      return bucket;
  return largestBucket;
}

bool skinny_linear::roundsWeights(const quant::Format &weight) {
  return splitsChunks(weight);
}

int64_t skinny_linear::summedGroups(const quant::Format &weight) {
  return roundsWeights(weight) ? 0 : groupsPerUnit(weight);
}

int64_t skinny_linear::correctionColumns(const Problem &problem) {
  int64_t columns = unitColumns;
  for (const Segment &segment : problem.segments)
    if (summedGroups(segment.weight))
      columns = std::min(columns, segment.weight.groupSize);
  return columns;
}

bool skinny_linear::spreadsGroups(const Problem &problem,
                                  const quant::Format &weight) {
  return problem.tokens == 1 && summedGroups(weight) > 1;
}

bool skinny_linear::correctsByProduct(const Problem &problem,
                                      const quant::Format &weight) {
  return problem.tokens > 1 && summedGroups(weight) == 4 &&
         !weight.isSymmetric();
}

bool skinny_linear::sumsBesideX(const Problem &problem,
                                const quant::Format &weight) {
  return correctsByProduct(problem, weight) &&
         problem.activation == quant::ElementType::BF16 &&
         weight.zero == quant::ZeroType::U8;
}

bool skinny_linear::sumsBesideX(const Problem &problem) {
  return std::ranges::any_of(problem.segments, [&](const Segment &segment) {
    return sumsBesideX(problem, segment.weight);
  });
}

/// Whether the groups of two formats start at the same.
static bool isSameStart(const quant::Format &a, const quant::Format &b) {
  return a.element == b.element && a.isSymmetric() == b.isSymmetric() &&
         summedGroups(a) == summedGroups(b);
}

/// Whether the sums of groups of `weight` start from a table.
static bool startsFromTable(const Problem &problem,
                            const quant::Format &weight) {
  return problem.tokens > 1 && summedGroups(weight) > 0 &&
         (weight.isSymmetric()
              ? numbersOf(weight, problem.activation).needsCorrection()
              : correctsByProduct(problem, weight) &&
                    !sumsBesideX(problem, weight));
}

std::vector<quant::Format> skinny_linear::startFormats(const Problem &problem) {
  std::vector<quant::Format> formats;
  for (const Segment &segment : problem.segments)
    if (startsFromTable(problem, segment.weight) &&
        std::ranges::none_of(formats, [&](const quant::Format &format) {
          return isSameStart(format, segment.weight);
        }))
      formats.push_back(segment.weight);
  return formats;
}

int64_t skinny_linear::startIndex(const Problem &problem,
                                  const quant::Format &weight) {
  if (!startsFromTable(problem, weight))
    return -1;
  std::vector<quant::Format> formats = startFormats(problem);
  auto found = std::ranges::find_if(formats, [&](const quant::Format &format) {
    return isSameStart(format, weight);
  });
  return found - formats.begin();
}

int64_t skinny_linear::startStride(const Plan &plan) {
  constexpr int64_t bytesOfTile = 4 * 16; // four values for each t
  return plan.tokenTiles * bytesOfTile;
}

int64_t skinny_linear::startBytes(const Plan &plan,
                                  const quant::Format &format) {
  return plan.unitsPerSlice * summedGroups(format) * startStride(plan);
}

bool skinny_linear::readsSums(const Problem &problem) {
  return std::ranges::any_of(problem.segments, [&](const Segment &segment) {
    return !roundsWeights(segment.weight) &&
           !sumsBesideX(problem, segment.weight) &&
           (!segment.weight.isSymmetric() ||
            startIndex(problem, segment.weight) < 0);
  });
}

// Validity --------------------------------------------------------------------

static Status unsupported(std::string message) {
  return Status(StatusCode::Unsupported, std::move(message));
}

static std::string quotedFormat(const quant::Format &weight) {
  return "weight format \"" + quant::spell(weight) + "\"";
}

static Status isValidFormat(const quant::Format &format,
                            ElementType activation) {
  if (!format.isFloat())
    return isValidWeight(format);
  if (format.element == activation)
    return Status();
  return unsupported(quotedFormat(format) +
                     " needs activations of its own type; got " +
                     std::string(quant::elementOf(activation).name));
}

Status skinny_linear::isValidWeight(const quant::Format &format) {
  if (!format.isGrouped())
    return Status();
  int64_t group = format.groupSize;
  if (group != 16 && group != 32 && group != 64 && group % unitColumns)
    return unsupported(quotedFormat(format) + " has groups of " +
                       std::to_string(group) +
                       "; expected 16, 32, 64 or a multiple of 128");
  return Status();
}

Status skinny_linear::checkZeroProducts(const Segment &segment, int64_t columns,
                                        const quant::StoredRows &stored) {
  constexpr float largestHalf = 65504;
  const quant::Format &format = segment.weight;
  if (summedGroups(format) != 4 || format.isSymmetric() ||
      format.hasScaleFields() || format.scale != quant::ScaleType::F16)
    return Status();
  bool adds = format.zero == quant::ZeroType::U8;
  float base = adds ? float(numbersOf(format, ElementType::BF16).base[0]) : 0;
  auto groups = size_t(quant::groupsPerRow(format, columns));
  std::vector<float> scales(groups), zeros(groups);
  for (int64_t row = 0; row < segment.rows; ++row) {
    quant::StoredRows one = quant::rowsFrom(format, stored, columns, row);
    quant::loadScales(format, one, columns, scales.data());
    quant::loadZeros(format, one, columns, zeros.data());
    for (size_t g = 0; g < groups; ++g)
      if (std::abs(scales[g] * (zeros[g] + base)) > largestHalf)
        return unsupported(
            "row " + std::to_string(row) + " has the scale " +
            std::to_string(scales[g]) + " and the zero point " +
            std::to_string(zeros[g]) + ", of which GPU kernels of " +
            quant::spell(format) + " make a number of f16, " +
            std::to_string(scales[g] * (zeros[g] + base)) +
            "; expected at most 65504: take groups of 64 or f32 scales");
  }
  return Status();
}

Status skinny_linear::isValidForCodes(const quant::Format &weight) {
  if (weight.element == ElementType::Int8 && weight.isSymmetric() &&
      !weight.isGrouped())
    return Status();
  return unsupported("int8 activations need weights in int8 with one scale a "
                     "row; got \"" +
                     quant::spell(weight) + "\"");
}

static bool isHalf(ElementType type) {
  return type == ElementType::F16 || type == ElementType::BF16;
}

/// Heads are all rows of y, in the order of rotary_append's work.
static Status isValidAppend(const Problem &problem) {
  const rotary_append::Problem &append = *problem.append;
  QOPT_RETURN_IF_ERROR(rotary_append::isValid(append));
  int64_t size = append.cache.keySize, keys = append.heads * size,
          values = keys + append.cache.keyHeads * size, rows = problem.rows();
  bool whole = append.query == rotary_append::Columns{0, rows} &&
               append.key == rotary_append::Columns{keys, rows} &&
               append.value == rotary_append::Columns{values, rows};
  if (!whole || append.cache.valueSize != size ||
      rows != problem.heads() * size)
    return unsupported("an append of other rows than queries, keys and values "
                       "of one size");
  bool overY = append.queries != rotary_append::Queries::Elsewhere &&
               rotary_append::changesQueries(append);
  if (overY || problem.paired || problem.output != append.activation)
    return unsupported("an append of paired rows, of another type or over y");
  int64_t first = 0;
  for (const Segment &segment : problem.segments) {
    if (first % size)
      return unsupported("a head in two segments");
    first += segment.rows;
  }
  return Status();
}

/// The norms ahead of the product.
static Status isValidNorm(const Problem &problem) {
  if (problem.norm.size() > 1)
    return Status(StatusCode::InvalidArgument, "more than one norm");
  auto hasStrayBias = [](const Norm &norm) {
    return norm.bias && !isLayerNorm(norm);
  };
  if (std::ranges::any_of(problem.norm, hasStrayBias) ||
      (problem.sum && hasStrayBias(*problem.sum)))
    return unsupported("an rms_norm has no bias");
  if (problem.sum && (problem.tokens > 1 || problem.columns % 8))
    return unsupported("blocks add a norm to a residual for one token with a "
                       "multiple of 8 columns");
  return Status();
}

/// What is done behind bias and residual.
static Status isValidSteps(const Problem &problem) {
  if (problem.steps.empty())
    return Status();
  if (problem.gate || problem.append)
    return unsupported("steps of an epilogue behind a gate or an append");
  auto added = std::ranges::count(problem.steps, Step::Kind::Add, &Step::kind);
  auto first = int64_t(problem.operands.size()) - added;
  if (first < 0)
    return Status(StatusCode::InvalidArgument,
                  std::to_string(added) + " sums of an epilogue with " +
                      std::to_string(problem.operands.size()) + " operands");
  return Status();
}

/// Who makes codes of x.
static Status isValidSource(const Problem &problem) {
  if (isCentred(problem.codes) && !problem.readsCodes())
    return Status(StatusCode::InvalidArgument,
                  "codes of the model itself are int8 that a launch reads");
  if (problem.readsCodes() && (problem.sum || !problem.norm.empty()))
    return unsupported("codes have no norm ahead of them");
  if (!problem.source)
    return Status();
  if (!problem.hasCodes() || !isHalf(*problem.source))
    return Status(StatusCode::InvalidArgument,
                  "codes are made of x in f16 or bf16");
  if (problem.tokens > 1 || problem.columns % 8)
    return unsupported("blocks make codes of one token with a multiple of 8 "
                       "columns");
  return Status();
}

Status skinny_linear::isValid(const Problem &problem) {
  if (problem.segments.empty() || problem.columns < 1)
    return Status(StatusCode::InvalidArgument,
                  "a linear layer needs rows and columns");
  if (problem.tokens != bucketOf(problem.tokens))
    return Status(StatusCode::InvalidArgument,
                  std::to_string(problem.tokens) +
                      " tokens are no bucket; expected 1, 8, 16, 32 or 64");
  if (!isHalf(problem.activation) && !problem.hasCodes())
    return unsupported("activations are f16, bf16 or int8");
  if (!isHalf(problem.output) && problem.output != ElementType::F32)
    return unsupported("outputs are f16, bf16 or f32");
  QOPT_RETURN_IF_ERROR(isValidNorm(problem));
  QOPT_RETURN_IF_ERROR(isValidSource(problem));
  QOPT_RETURN_IF_ERROR(isValidSteps(problem));
  for (const Segment &segment : problem.segments) {
    if (segment.rows < 1)
      return Status(StatusCode::InvalidArgument, "a segment without rows");
    bool last = &segment == &problem.segments.back();
    if (!last && segment.rows % (problem.paired ? 2 * 8 : stripRows))
      return unsupported("a segment of " + std::to_string(segment.rows) +
                         " rows before another; expected a multiple of 16");
    if (problem.paired && segment.rows % 2)
      return Status(StatusCode::InvalidArgument,
                    "paired rows need an even number of rows");
    QOPT_RETURN_IF_ERROR(
        problem.hasCodes() ? isValidForCodes(segment.weight)
                           : isValidFormat(segment.weight, problem.activation));
  }
  if (problem.gate && !problem.paired)
    return Status(StatusCode::InvalidArgument, "a gate needs paired rows");
  return problem.append ? isValidAppend(problem) : Status();
}

static Status infeasible(std::string message) {
  return Status(StatusCode::Infeasible, std::move(message));
}

static Status isValidSplit(const Problem &problem, const Schedule &schedule) {
  Plan plan = planOf(problem, schedule);
  if (schedule.grid % schedule.slices)
    return infeasible("the slices do not divide the grid");
  if (schedule.slices > 1 && (schedule.columnWarps > 1 || !schedule.wholeTiles))
    return infeasible("slices of the columns need whole tiles and warps that "
                      "have strips of their own");
  if (schedule.slices > 1 && problem.append)
    return infeasible("an append needs sums that one warp has");
  int64_t lastSlice = plan.units - (schedule.slices - 1) * plan.unitsPerSlice;
  for (size_t i = 0; i < problem.segments.size(); ++i) {
    int64_t units = schedule.unitsPerStage[i];
    if (units % schedule.columnWarps)
      return infeasible("a stage of " + std::to_string(units) +
                        " units is not shared evenly by " +
                        std::to_string(schedule.columnWarps) + " warps");
    if (lastSlice <= (segmentPlanOf(problem, schedule, i).steps - 1) * units)
      return infeasible("the last slice has less steps than the others");
  }
  return Status();
}

Status skinny_linear::isValid(const Problem &problem, const Schedule &schedule,
                              const target::Target &target) {
  QOPT_RETURN_IF_ERROR(isValid(problem));
  if (!target.features.asyncCopy)
    return unsupported(std::string(target.name) + " has no asynchronous copy");
  if (schedule.grid < 1 || schedule.slices < 1 || schedule.columnWarps < 1 ||
      schedule.rowWarps < 1 || schedule.stripsPerWarp < 1 ||
      schedule.stages < 1 || schedule.inFlight < 1 || schedule.partials < 1 ||
      schedule.unitsPerStage.size() != problem.segments.size())
    return infeasible("a schedule without blocks, warps or stages");
  QOPT_RETURN_IF_ERROR(isValidBlock(schedule.threads(), target));
  QOPT_RETURN_IF_ERROR(isValidSplit(problem, schedule));
  if ((problem.source || problem.sum) && !heldChunks(problem, schedule))
    return infeasible("a row of " + std::to_string(problem.columns) +
                      " elements does not fit the registers of " +
                      std::to_string(32 * schedule.consumers()) + " threads");
  Plan plan = planOf(problem, schedule);
  if (plan.sharedBytes > target.limits.sharedPerBlock)
    return infeasible(std::to_string(plan.sharedBytes) +
                      " bytes of shared memory; " + std::string(target.name) +
                      " has " + std::to_string(target.limits.sharedPerBlock) +
                      " a block");
  return Status();
}

// Sizes -----------------------------------------------------------------------

int64_t skinny_linear::heldChunks(const Problem &problem,
                                  const Schedule &schedule) {
  // 32 registers of x and of what it is multiplied by, half as many with a
  // bias or with two norms.
  bool biased = problem.norm.size() && problem.norm.front().bias;
  int64_t most = problem.sum && (problem.sum->bias || biased) ? 1
                 : problem.sum && problem.norm.size()         ? 3
                 : problem.sum                                ? 4
                 : biased                                     ? 2
                 : problem.norm.size()                        ? 4
                                                              : 8,
          chunkElements = 8;
  int64_t units =
      ceilDiv(ceilDiv(problem.columns, unitColumns), schedule.slices) *
      schedule.slices;
  int64_t held =
      ceilDiv(units * unitColumns / chunkElements, 32 * schedule.consumers());
  bool fits = problem.tokens == 1 && problem.columns % chunkElements == 0 &&
              held <= most;
  return fits ? held : 0;
}

SegmentPlan skinny_linear::segmentPlanOf(const Problem &problem,
                                         const Schedule &schedule,
                                         size_t segment) {
  SegmentPlan plan{};
  int64_t units = ceilDiv(problem.columns, unitColumns);
  int64_t unitsPerSlice = ceilDiv(units, schedule.slices);
  for (size_t i = 0; i <= segment; ++i) {
    const Segment &rows = problem.segments[i];
    plan.firstRow += i ? problem.segments[i - 1].rows : 0;
    plan.firstTile += plan.tiles;
    plan.packedOffset += i ? packedBytes(problem.segments[i - 1],
                                         problem.columns, problem.paired)
                           : 0;
    plan.strips = problem.paired ? ceilDiv(rows.rows / 2, 8)
                                 : ceilDiv(rows.rows, stripRows);
    plan.tiles = ceilDiv(plan.strips, schedule.tileStrips());
    plan.unitBytes = unitBytes(rows.weight);
    plan.steps = ceilDiv(unitsPerSlice, schedule.unitsPerStage[i]);
  }
  plan.scaleOffset = plan.packedOffset + plan.strips * units * plan.unitBytes;
  plan.bookOffset =
      plan.packedOffset +
      packedBytes(problem.segments[segment], problem.columns, problem.paired) -
      packedBookBytes(problem.segments[segment].weight);
  int64_t blocks = std::max(schedule.grid / schedule.slices, 1);
  // What is dealt out: tiles, or the steps of all tiles.
  int64_t all = plan.tiles * (schedule.wholeTiles ? 1 : plan.steps);
  plan.blocks = int(std::min(blocks, all));
  plan.contributors = 1;
  if (schedule.wholeTiles)
    return plan;
  // A block that shares a tile works on at least all / blocks of its steps.
  int64_t least = all / plan.blocks;
  if (all % plan.blocks || least % plan.steps)
    plan.contributors =
        int(std::min<int64_t>(plan.blocks, ceilDiv(plan.steps - 1, least) + 1));
  return plan;
}

/// Of a block: two rings with their barriers, and what products read beside
/// weights.
static int64_t sharedBytesOf(const Plan &plan, const Schedule &schedule) {
  constexpr int64_t align = 128;
  int64_t partials = schedule.slices > 1 ? 0 : schedule.partials;
  int64_t bytes = align;
  for (int64_t part :
       {int64_t(16) * schedule.stages, 16 * partials, plan.partFlagBytes,
        plan.quantizeBytes, plan.normBytes, plan.correctionBytes,
        plan.zeroBytes, plan.startBytes, plan.bookBytes, plan.activationBytes,
        partials * plan.partialBytes, schedule.stages * plan.stageBytes})
    bytes += roundUp(part, align);
  return bytes;
}

/// The rows of x in shared memory.
static void setActivations(Plan &plan, const Problem &problem) {
  // Half a round of the banks more than rounds of a row: the lanes of two
  // tokens then read different ones; a quarter where four rows are read at
  // once.
  bool codes = problem.hasCodes();
  plan.activationUnit = unitColumns * (codes ? 1 : 2);
  if (sumsBesideX(problem))
    plan.activationUnit += sumsBesideGroups * sumsBesideBytes;
  plan.activationStride = plan.unitsPerSlice * plan.activationUnit;
  if (problem.tokens > 1)
    plan.activationStride =
        roundUp(plan.activationStride, int64_t(128)) + (codes ? 32 : 64);
  plan.activationRows = problem.tokens;
  plan.activationBytes = plan.activationRows * plan.activationStride;
}

Plan skinny_linear::planOf(const Problem &problem, const Schedule &schedule) {
  Plan plan{};
  plan.units = ceilDiv(problem.columns, unitColumns);
  plan.unitsPerSlice = ceilDiv(plan.units, schedule.slices);
  plan.tokenTiles = ceilDiv(problem.tokens, 8);
  setActivations(plan, problem);
  int64_t partialTokens = problem.tokens == 1 ? 1 : plan.tokenTiles * 8;
  plan.correctionStride = partialTokens * 4;
  for (const Norm &norm : problem.norm)
    plan.normBytes += normSumBytes(norm, schedule.consumers());
  if (problem.sum)
    plan.normBytes += normSumBytes(*problem.sum, schedule.consumers());
  if (problem.source)
    plan.quantizeBytes = 4 * (schedule.consumers() + 1);
  bool sliced = schedule.slices > 1;
  if (!sliced)
    plan.partialBytes = schedule.columnWarps * schedule.tileStrips() *
                        partialTokens * partialStride * 4;
  if (sliced) // whole fragments of 8 tokens
    partialTokens = plan.tokenTiles * 8;
  plan.partFlagBytes =
      sliced ? 4 * schedule.slices * int64_t(problem.segments.size()) : 0;
  int64_t tileFloats = schedule.tileStrips() * partialTokens * stripRows;
  for (size_t i = 0; i < problem.segments.size(); ++i) {
    SegmentPlan segment = segmentPlanOf(problem, schedule, i);
    plan.stageBytes = std::max(plan.stageBytes, schedule.tileStrips() *
                                                    schedule.unitsPerStage[i] *
                                                    segment.unitBytes);
    // An odd number of tiles: lanes of four groups read different banks.
    if (correctsByProduct(problem, problem.segments[i].weight))
      plan.correctionStride = (plan.tokenTiles | 1) * 32;
    if (spreadsGroups(problem, problem.segments[i].weight))
      plan.zeroBytes = unitColumns * 2;
    plan.tiles += segment.tiles;
    plan.contributors = std::max(plan.contributors, segment.contributors);
  }
  plan.bookBytes = bookBytes(problem);
  for (const quant::Format &format : startFormats(problem))
    plan.startBytes += startBytes(plan, format);
  if (!problem.hasCodes() && readsSums(problem))
    plan.correctionBytes = plan.unitsPerSlice * unitColumns /
                           correctionColumns(problem) * plan.correctionStride;
  plan.slots = int64_t(plan.contributors) * schedule.slices;
  if (plan.slots > 1) {
    plan.workspaceBytes = plan.tiles * plan.slots * tileFloats * 4;
    plan.counters = plan.tiles;
  }
  plan.counters += problem.heads();
  plan.sharedBytes = sharedBytesOf(plan, schedule);
  return plan;
}

int64_t skinny_linear::bytesInFlight(const Plan &plan, const Schedule &schedule,
                                     const target::Target &target) {
  int64_t stages = std::min(schedule.stages, schedule.inFlight + 1);
  return stages * plan.stageBytes *
         residentBlocks(schedule.grid, schedule.blocksPerSm, target);
}

std::string skinny_linear::symbolOf(const Problem &problem,
                                    const target::Target &target) {
  std::string name = "skinny_linear_" + std::string(target.name) + "_" +
                     nameOf(problem.activation, problem.codes) + "_";
  for (const Segment &segment : problem.segments)
    name += (&segment == &problem.segments.front() ? "" : "_x_") +
            quant::spell(segment.weight);
  name += "_" + std::string(quant::elementOf(problem.output).name);
  name += "_m" + std::to_string(problem.tokens);
  if (problem.source)
    name += "_from_" + std::string(quant::elementOf(*problem.source).name);
  if (problem.sum)
    name += isLayerNorm(*problem.sum) ? "_layer_sum" : "_sum";
  if (!problem.norm.empty())
    name += isLayerNorm(problem) ? "_layer_norm" : "_norm";
  if (problem.paired)
    name += "_paired";
  if (problem.gate)
    name += "_" + std::string(kernels::nameOf(*problem.gate));
  return name + (problem.append ? "_append" : "") + nameOf(problem.steps);
}
