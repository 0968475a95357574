// What a schedule of `skinny_linear` is predicted to take. Every term names the
// figure of lib/Target that it rests on; measured facts are said to be so
// there.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/SkinnyLinear/SkinnyLinear.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearGroups.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearPack.h"
#include "lib/Quant/Element.h"

#include <algorithm>
#include <cmath>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::skinny_linear;
using quant::ElementType;

/// Part of the issue slots that such loops were seen to use.
constexpr double issuePart = 0.6;
/// Of a trip to the second-level cache while weights stream, seconds.
constexpr double loadedLatency = 0.6e-6;
/// Lane instructions for an element of x that a norm reads: two conversions'
/// halves, a square, two factors, a conversion back, and loads and stores; and
/// for one that becomes a code: largest, factor, rounding, limits, its byte.
constexpr double normInstructions = 8, codeInstructions = 8;
/// Clocks of a warp's sum of squares: five shuffles that wait for each other.
/// On an H200 norms of heads take 0.1 us more for one token, 0.8 for eight.
constexpr double laneSumClocks = 200;
/// What a norm takes at least, of one token, whose row all warps of a block
/// share: on an H200 0.26 to 0.47 us for 512 to 4096 columns, with a mean 0.5.
/// Rows of several
/// tokens are a warp's each, seconds a column: 0.8 us for 512 to 5.0 for 4096
/// (11 for 8192), again for every round of as many as there are warps, and 1.65
/// times as long with a mean.
constexpr double sharedRowSeconds = 0.35e-6, sharedMeanSeconds = 0.5e-6,
                 columnSeconds = 1.25e-9, meanPart = 1.65;
/// Of an append's trips, seconds: with them heads of 64 and 128 channels are
/// within 0.6 us of what was measured on an H200 for one, two and eight tokens.
constexpr double appendTripSeconds = 0.7e-6;
/// More of a layer_norm: a sum, two differences.
constexpr double meanInstructions = 3;
/// More where a residual is added and the sum rounded: its halves, a rounding
/// and halves of that, a sum, another rounding.
constexpr double sumInstructions = 6;

/// Bytes a second of x, which all blocks read from the second-level cache, and
/// seconds of a trip more where a block's is too much for one: measured with 8
/// and 16 tokens of 4096 columns.
constexpr double cacheBandwidth = 6e12, cacheTrip = 1e-6;

/// What a chain of kernels takes longer where two blocks fit an SM and some SM
/// has none: the next kernel's come two by two there.
constexpr double unevenPlacement = 0.2;

static int64_t elementBytes(ElementType type) {
  return quant::elementOf(type).bits / 8;
}

/// The same of codes of less than eight bits: the mean of the four products of
/// a block, as SkinnyLinearUnpack.cpp makes them.
static double nibbleInstructions(const quant::Format &format, bool bf16) {
  std::vector<CodePlane> planes = codePlanes(format);
  bool merged = planes.size() > 1 && planes[0].words < 4,
       upper = planes.size() > 1 && !merged;
  auto rotations = [](const CodePlane &plane, int product) {
    return product * plane.words % 4 ? 1 : 0;
  };
  double count = 0;
  for (int product = 0; product < 4; ++product) {
    count += rotations(planes[0], product);
    if (merged) // lop3
      count += rotations(planes[1], product) + 1;
    if (upper) // of both halves of k, or of all four registers; lop3
      count += rotations(planes[1], product) + (bf16 ? 3 : 1) + 4;
  }
  if (hasBook(format) && bookBytes(format)) // prmt, address, load
    return count / 4 + 4 * 3;
  if (format.element == ElementType::Lut3) // mask; shift, four prmt
    return count / 4 + 1 + 1 + 2 * 4;
  return count / 4 + (bf16 ? 3 : 1) + 4;
}

double skinny_linear::unpackInstructions(const quant::Format &format,
                                         ElementType activation,
                                         const target::Target &target) {
  bool bf16 = activation == ElementType::BF16;
  if (quant::elementOf(format.element).bits < 8)
    return nibbleInstructions(format, bf16);
  if (format.element == ElementType::Int8)
    return bf16 ? 2 * (1 + 4 + 2) : 4;        // shift, lop3, fma; prmt
  if (format.element == ElementType::Fp8E5m2) // prmt; shift, and, lop3, fma
    return bf16 ? 4 * 5 : 4;
  if (format.element == ElementType::Fp8E4m3)
    // Conversions have half of the rate; else prmt, and, shift, lop3, fma.
    return !bf16 && target.features.fp8Convert ? 4 * 2 : 4 * 5;
  return 0;
}

WeightInstructions
skinny_linear::weightInstructions(const quant::Format &format,
                                  ElementType activation) {
  bool corrected =
      !format.isSymmetric() || numbersOf(format, activation).needsCorrection();
  WeightInstructions count{corrected ? 4.0 : 0, format.isSymmetric() ? 5. : 14};
  if (groupsPerUnit(format) || format.zero == quant::ZeroType::Float)
    count.ofProduct +=
        4; // times the scale, with a fraction's rest or that alone
  if (hasWideScales(format)) { // of the lower half; of two rows: factor, halves
    count.ofProduct += 4;
    count.ofGroup += 11;
  }
  return count;
}

/// Of a unit's groups: scales (load, two conversions of halves) and sums; of
/// integers Σx and what it is multiplied by.
static double groupInstructions(const Problem &problem,
                                const quant::Format &format) {
  bool isInteger = quant::elementOf(format.element).isInteger();
  if (problem.hasCodes() || (!isInteger && !groupsPerUnit(format)))
    return 0;
  if (roundsWeights(format)) // a lane has half of them
    return double(groupsPerUnit(format)) / 2 *
           weightInstructions(format, problem.activation).ofGroup;
  auto groups = double(std::max<int64_t>(groupsPerUnit(format), 1));
  auto tiles = double((problem.tokens + 7) / 8);
  double lanes = problem.tokens == 1 ? 2 : 4;
  double zero = format.isSymmetric()                 ? 0
                : hasWideZeros(format)               ? 3
                : format.zero == quant::ZeroType::U8 ? 4  // load, base,
                                                     : 5; // conversions
  double scaled = (hasWideScales(format) ? 1 : 3) + tiles * lanes;
  if (format.hasScaleFields()) // prmt, less the offset, times the unit
    scaled += 4;
  if (!isInteger)
    return groups * scaled;
  // For lanes of four groups f32 is loaded in two words that are put in order.
  double ordered = 0;
  if (groups == 4)
    ordered = (hasWideScales(format) ? 3 : 0) + (hasWideZeros(format) ? 3 : 0);
  if (spreadsGroups(problem, format)) // an address of x for each group
    return scaled + zero + ordered + 1 + lanes + groups;
  if (sumsBesideX(problem, format)) // Σx comes as the products read it
    return groups * scaled + zero + ordered + 4 + tiles * 3;
  if (startIndex(problem, format) >= 0) // one load of what sums start at
    return groups * (scaled + tiles) + (correctsByProduct(problem, format)
                                            ? zero + ordered + 4 + tiles * 4
                                            : 0);
  return groups * (scaled + zero + tiles * (1 + lanes));
}

/// Lane instructions of the main loop for one weight of a segment.
static double instructionsPerWeight(const Problem &problem,
                                    const Schedule &schedule, size_t segment,
                                    const target::Target &target) {
  const quant::Format &format = problem.segments[segment].weight;
  int64_t tokenTiles = (problem.tokens + 7) / 8;
  auto tiles = double(tokenTiles);
  double bits = quant::elementOf(format.element).bits;
  double perProduct = unpackInstructions(format, problem.activation, target) +
                      tiles + 8 * bits / 128 +
                      tiles / 2 / schedule.stripsPerWarp;
  if (roundsWeights(format))
    perProduct += weightInstructions(format, problem.activation).ofProduct;
  if (problem.hasCodes()) // of 32 columns: prmt and sign, products
    perProduct = (4 + 4 + tiles) / 2 + 8 * bits / 128 +
                 tiles / 2 / schedule.stripsPerWarp;
  double perUnit = groupInstructions(problem, format) + 4; // and addresses
  // A stage: wait, release, next cursor, loop.
  double perStage = 16;
  double units = double(schedule.unitsPerStage[segment]) /
                 schedule.columnWarps * schedule.stripsPerWarp;
  return perProduct / 8 + (perUnit + perStage / units) / 64;
}

/// How much more the fullest block has than the mean, weighted by bytes.
static double imbalanceOf(const Problem &problem, const Schedule &schedule,
                          const target::Target &target) {
  double fullest = 0, bytes = 0;
  for (size_t i = 0; i < problem.segments.size(); ++i) {
    SegmentPlan plan = segmentPlanOf(problem, schedule, i);
    double steps = double(plan.tiles * plan.steps);
    double stepBytes = double(schedule.tileStrips()) *
                       double(schedule.unitsPerStage[i] * plan.unitBytes);
    int64_t each = schedule.wholeTiles ? plan.steps : 1;
    int64_t all = plan.tiles * plan.steps / each;
    int64_t most = (all + plan.blocks - 1) / plan.blocks * each;
    fullest += double(most) * stepBytes;
    bytes += steps * stepBytes * schedule.slices;
  }
  return fullest * target.multiprocessors / bytes - 1;
}

/// Seconds that the SMs need for what they do with the weights, if these were
/// there: the slowest of issue, tensor cores and reads of shared memory.
static double arithmeticOf(const Problem &problem, const Schedule &schedule,
                           const target::Target &target, Cost &cost) {
  double instructions = 0, weights = 0, sharedBytes = 0;
  int64_t tokenTiles = (problem.tokens + 7) / 8;
  auto tiles = double(tokenTiles);
  for (size_t i = 0; i < problem.segments.size(); ++i) {
    double count = double(problem.segments[i].rows) * double(problem.columns);
    instructions += count * instructionsPerWeight(problem, schedule, i, target);
    weights += count;
    // A token needs 16 bytes a lane for the 16 weights of two products, half of
    // them where it has codes; one token alone is the same for all rows and
    // read once.
    double activationBytes = problem.tokens == 1 ? 0.25 : tiles;
    if (problem.hasCodes())
      activationBytes /= 2;
    sharedBytes += count * activationBytes / schedule.stripsPerWarp +
                   double(packedBytes(problem.segments[i], problem.columns,
                                      problem.paired));
    if (bookBytes(problem.segments[i].weight)) // a word for two codes
      sharedBytes += count * 2;
  }
  cost.instructionsPerWeight = instructions / weights;
  cost.products = 2 * weights * tiles * 8;
  const target::Rates &rates = target.rates;
  double clocks = rates.clock.value * target.multiprocessors;
  double issue = instructions / (rates.issue.value * issuePart * clocks);
  double tensor =
      mmaSeconds(cost.products,
                 problem.hasCodes() ? flopsOfByteMma : flopsOfHalfMma, target);
  constexpr double sharedBytesPerClock = 128;
  double shared = sharedBytes / (sharedBytesPerClock * clocks);
  // With more tokens sums fill the registers, and eight warps an SM hide none
  // of these behind another: measured with 32 and 64.
  if (tiles >= 4)
    return issue * issuePart + tensor + shared;
  return std::max({issue, tensor, shared});
}

/// Trips to memory, one after the other, that products wait for. Slices are
/// written and counted tile by tile, then read by all warps, some reads at a
/// time; tiles that
/// blocks share by steps one round of elements after the other by one warp.
static double lastBlockTrips(const Problem &problem, const Schedule &schedule,
                             const Plan &plan) {
  if (schedule.slices > 1) {
    double tiles = 0;
    for (size_t i = 0; i < problem.segments.size(); ++i) {
      SegmentPlan segment = segmentPlanOf(problem, schedule, i);
      tiles += double(segment.tiles) / segment.blocks;
    }
    double added = tiles / schedule.slices * schedule.tileStrips() *
                   double(plan.tokenTiles);
    return 1 + std::max(1.0, tiles) +
           std::max(1.0, added / schedule.consumers());
  }
  if (plan.contributors == 1)
    return 0;
  double rounds = problem.tokens == 1 ? 1 : double(plan.tokenTiles) * 2;
  return 2 + schedule.tileStrips() * rounds;
}

/// What every block does for itself ahead of the product, to rows of several
/// tokens: a warp to each.
static void addNormOfRows(const Problem &problem, const Schedule &schedule,
                          Cost &cost) {
  auto rounds = std::ceil(double(problem.tokens) /
                          double(schedule.rowWarps * schedule.columnWarps));
  bool mean = isLayerNorm(problem.norm.front());
  cost.add("norm",
           rounds * double(problem.columns) * columnSeconds *
               (mean ? meanPart : 1),
           "a row for each warp, " + std::to_string(int64_t(rounds)) +
               " after the other, 1.25 ns a column" +
               (mean ? ", with a mean 2.06" : "") + " (measured)");
}

/// The same to the row of one token, which all warps share.
static void addPrologue(const Problem &problem, const Schedule &schedule,
                        const target::Target &target, Cost &cost) {
  const target::Rates &rates = target.rates;
  auto elements = double(problem.columns);
  double issue = rates.issue.value * issuePart * rates.clock.value;
  // Slices read the whole row for their statistic.
  double row =
      double(schedule.grid) * elements *
      double(elementBytes(problem.source.value_or(problem.activation)));
  double more = row * (1 - 1.0 / schedule.slices) / rates.copyBandwidth.value;
  double instructions = problem.source ? codeInstructions : 0, least = 0;
  auto addNorm = [&](const Norm &norm) {
    instructions += normInstructions;
    instructions += isLayerNorm(norm) ? meanInstructions : 0;
    least += isLayerNorm(norm) ? sharedMeanSeconds : sharedRowSeconds;
  };
  std::ranges::for_each(problem.norm, addNorm);
  if (problem.sum) {
    addNorm(*problem.sum);
    instructions += sumInstructions;
    more += row / cacheBandwidth; // of the residual
  }
  cost.add(
      problem.sum            ? "sum"
      : problem.norm.empty() ? "codes"
                             : "norm",
      std::max(elements * instructions / issue, least) + more,
      std::to_string(int64_t(instructions)) +
          " instructions an element of x in each block at 60 % issue, 0.35 us "
          "a norm at least, 0.5 with a mean (measured), and what is read " +
          (problem.sum ? "of the residual and " : "") +
          "for the statistic alone, at the " + spell(rates.clock, "clock"));
}

/// What the warp that stores the last rows of a head does, a token after the
/// other.
static void addAppend(const Problem &problem, const target::Target &target,
                      Cost &cost) {
  cost.add("append", double(1 + problem.tokens) * appendTripSeconds,
           "the last head is counted, then read token by token: " +
               std::to_string(1 + problem.tokens) +
               " trips of 0.7 us (measured: 0.8 to 1.8 us for one token, 5.6 "
               "to 6.2 for eight)");
  if (problem.append->norm)
    cost.add("norm of heads",
             double(problem.tokens) * laneSumClocks / target.rates.clock.value,
             "a sum over the lanes of a warp for each token, 200 clocks "
             "(measured: 0.1 us for one token, 0.8 for eight), at the " +
                 spell(target.rates.clock, "clock"));
}

/// Bytes of a launch; no time yet.
static Cost trafficOf(const Problem &problem, const Plan &plan) {
  Cost cost;
  cost.weightBytes = packedBytes(problem);
  ElementType x = problem.source.value_or(problem.activation);
  int64_t rowBytes = problem.columns * elementBytes(x);
  cost.activationBytes = problem.tokens * rowBytes * (problem.sum ? 2 : 1);
  cost.outputBytes =
      problem.tokens * problem.outputColumns() * elementBytes(problem.output) +
      (problem.sum ? rowBytes : 0);
  cost.partialBytes = 2 * plan.workspaceBytes;
  return cost;
}

/// The figure is of a whole ring. Of it two thirds on their way at once were
/// measured to be enough: linear layers of an 8B decoder with 33 KiB take what
/// the other terms say.
static void addRing(const Schedule &schedule, const Plan &plan,
                    const target::Target &target, Cost &cost) {
  constexpr double enough = 2.0 / 3;
  const target::Rates &rates = target.rates;
  double needed = rates.bytesInFlight.value;
  auto ring = double(schedule.stages * plan.stageBytes);
  int64_t inFlight = bytesInFlight(plan, schedule, target);
  double missing = std::max(
      {0.0, needed / ring - 1, needed * enough / double(inFlight) - 1});
  cost.add("ring",
           double(cost.weightBytes) / rates.streamBandwidth.value * missing,
           std::to_string(schedule.stages) + " stages of " +
               spellBytes(double(plan.stageBytes)) + ", " +
               spellBytes(double(inFlight)) +
               " at once on their way to an SM, of the " +
               spell(rates.bytesInFlight, "bytes that the roof needs"));
}

/// The way out of a block whose sums others wait for.
static void addPartialSums(const Problem &problem, const Schedule &schedule,
                           const target::Target &target, Cost &cost) {
  const target::Rates &rates = target.rates;
  cost.add(
      "partial sums", double(cost.partialBytes) / rates.copyBandwidth.value,
      spellBytes(double(cost.partialBytes)) + " written and read, at the " +
          spell(rates.copyBandwidth, "copy bandwidth"));
  double lastTrips =
      lastBlockTrips(problem, schedule, planOf(problem, schedule));
  cost.add("last block", lastTrips * loadedLatency,
           "what blocks share is written, counted and read: " +
               std::to_string(int(lastTrips)) +
               " trips of 0.6 us (with which launches of 9 to 64 tokens are "
               "within 15 % of what was measured)");
}

Cost skinny_linear::costOf(const Problem &problem, const Schedule &schedule,
                           const target::Target &target) {
  Plan plan = planOf(problem, schedule);
  const target::Rates &rates = target.rates;
  Cost cost = trafficOf(problem, plan);
  double stream = double(cost.weightBytes) / rates.streamBandwidth.value;
  cost.add("weights", stream,
           spellBytes(double(cost.weightBytes)) + " at the " +
               spell(rates.streamBandwidth, "stream bandwidth"));
  double imbalance = imbalanceOf(problem, schedule, target);
  cost.add("tail", stream * imbalance,
           "the fullest block has " + spellNumber(imbalance * 100) +
               " % more than the mean of all SMs");
  bool uneven =
      schedule.blocksPerSm > 1 && schedule.grid < target.multiprocessors;
  cost.add(
      "placement", uneven ? stream * unevenPlacement : 0,
      "with SMs left free, two blocks of the next kernel meet on one (measured "
      "on an H200: a tenth to a quarter longer)");
  addRing(schedule, plan, target, cost);
  double arithmetic = arithmeticOf(problem, schedule, target, cost);
  cost.add(
      "arithmetic",
      std::max(0.0, arithmetic * (1 + imbalance) - stream * (1 + imbalance)),
      spellNumber(cost.instructionsPerWeight) +
          " instructions a weight at 60 % issue, products and reads of shared "
          "memory: what exceeds the stream, at the " +
          spell(rates.clock, "clock"));
  double trips = double(plan.activationBytes) / 16 / chunksInFlight;
  cost.add(
      "ramp",
      double(schedule.grid) * double(plan.activationBytes) / cacheBandwidth +
          std::max(0.0, trips - 1) * cacheTrip,
      "each block reads its slice of x behind the dependency point, at 6 TB/s "
      "and 1 us for each 64 KB more than the first (measured)");
  addPartialSums(problem, schedule, target, cost);
  if (problem.tokens > 1 && !problem.norm.empty())
    addNormOfRows(problem, schedule, cost);
  else if (!problem.norm.empty() || problem.sum || problem.source)
    addPrologue(problem, schedule, target, cost);
  if (problem.append)
    addAppend(problem, target, cost);
  cost.add("dependency", rates.dependencyGap.value,
           spell(rates.dependencyGap, "gap of a dependent kernel"));
  cost.roofPart = stream / cost.seconds;
  return cost;
}
