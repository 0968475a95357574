// What a schedule of `gemm` is predicted to take. Blocks come in waves, and a
// wave takes its steps one after the other; in a step, what the warps of an SM
// multiply and what they issue add up (Cost.h). The constants are fitted to 248
// launches on an H200 of 16 to 4096 tokens, f16, int4 and int8, of which the
// sum is within 15 % for 235. Every term names the figure that it rests on.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Gemm/Gemm.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearPack.h"
#include "lib/Quant/Element.h"

#include <algorithm>
#include <cmath>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::gemm;
using quant::ElementType;

/// What a chain of kernels takes longer where two blocks fit an SM and a tenth
/// of the SMs has none: the next kernel's come two by two there. Measured with
/// 112 blocks.
constexpr double unevenPlacement = 0.2;
/// Of a launch, seconds: the first stages, and the way out.
constexpr double rampSeconds = 2.15e-6;
/// What the heads of a wave of blocks take, of that codes and norms, seconds:
/// on an H200 1.9 to 6.9 us, 3.3 to 5.5 more with codes and up to 3.9 with
/// norms, for 66 to 2048 tokens of heads of 64 and 128 channels, whatever their
/// number.
constexpr double appendSeconds = 4.5e-6, encodeSeconds = 4.5e-6,
                 headNormSeconds = 1.5e-6;
/// Instructions for a head of a token (counted): any, and a rotation's.
constexpr double appendInstructions = 25, rotateInstructions = 25;
/// Instructions that make the fragment of one product from its codes.
static double fragmentInstructions(const quant::Format &format,
                                   ElementType activation,
                                   const target::Target &target) {
  if (activation == ElementType::Int8)
    return 4 + 4; // prmt, sign
  return skinny_linear::unpackInstructions(format, activation, target) +
         skinny_linear::weightInstructions(format, activation).ofProduct;
}

/// Warp instructions of a stage, of one warp.
static double stageInstructions(const Problem &problem,
                                const Schedule &schedule,
                                const target::Target &target, size_t segment) {
  const quant::Format &format = problem.segments[segment].weight;
  SegmentPlan part = segmentPlanOf(problem, schedule, segment);
  double strips = schedule.stripsPerWarp, tiles = schedule.tilesPerWarp;
  auto products = double(schedule.products());
  double share = 1.0 / schedule.columnWarps; // of what a stage has
  double loads =
      double(part.codeBytes) / 512 * strips * share +
      products * tiles * (problem.activation == ElementType::Int8 ? 1 : 0.5);
  double groups = part.groups ? std::max(double(part.groups) * share, 1.0) : 0;
  if (skinny_linear::splitsChunks(format)) // a lane has half of them
    groups /= 2;
  double perGroup =
      skinny_linear::weightInstructions(format, problem.activation).ofGroup;
  double copies = double(planOf(problem, schedule).stageBytes) / 16 /
                  double(schedule.threads());
  return products * strips *
             (tiles +
              fragmentInstructions(format, problem.activation, target)) +
         loads + groups * strips * perGroup + 3 * copies + 24;
}

namespace {
/// Clocks of an SM for a step of one block.
struct StepClocks {
  double tensor = 0, issue = 0;
};
/// What the fullest SM works on: blocks one after the other, as if each had the
/// SM for itself, and waves of as many as it holds at once.
struct Rounds {
  double blocks, waves;
};
} // namespace

static StepClocks clocksOf(const Problem &problem, const Schedule &schedule,
                           const target::Target &target, size_t segment) {
  constexpr double quarters = 4;
  double warps = schedule.warps();
  return {double(schedule.products()) * schedule.stripsPerWarp *
              schedule.tilesPerWarp * warps * target.rates.mmaClocks.value /
              quarters,
          stageInstructions(problem, schedule, target, segment) * warps *
              issueClocks / quarters};
}

static Rounds roundsOf(const Schedule &schedule, const target::Target &target,
                       int64_t grid) {
  int64_t wave = int64_t(target.multiprocessors) * schedule.blocksPerSm;
  int64_t rest = grid % wave;
  int64_t whole = grid / wave * schedule.blocksPerSm;
  int64_t last = (rest + target.multiprocessors - 1) / target.multiprocessors;
  int64_t waves = grid / wave + (rest > 0);
  return {double(whole + last), double(waves)};
}

/// Bytes and products of a launch; no time yet.
static Cost trafficOf(const Problem &problem, const Launch &launch) {
  Cost cost;
  cost.weightBytes = skinny_linear::packedBytes(problem);
  auto bytes = [](ElementType type) { return quant::elementOf(type).bits / 8; };
  cost.activationBytes =
      problem.tokens * problem.columns * bytes(problem.activation);
  cost.outputBytes =
      problem.append
          ? rotary_append::writtenBytes(*problem.append, problem.tokens)
          : problem.tokens * problem.outputColumns() * bytes(problem.output);
  cost.partialBytes = 2 * launch.workspaceBytes;
  cost.products = 2.0 * double(problem.tokens) * double(problem.rows()) *
                  double(problem.columns);
  return cost;
}

/// Of a step; tiles of segments take different times, and the mean counts.
static StepClocks meanStep(const Problem &problem, const Schedule &schedule,
                           const target::Target &target, Cost &cost) {
  Plan plan = planOf(problem, schedule);
  StepClocks step;
  for (size_t i = 0; i < problem.segments.size(); ++i) {
    StepClocks of = clocksOf(problem, schedule, target, i);
    double part = double(segmentPlanOf(problem, schedule, i).tiles) /
                  double(plan.rowTiles);
    step.tensor += part * of.tensor;
    step.issue += part * of.issue;
    cost.instructionsPerProduct +=
        part * stageInstructions(problem, schedule, target, i) /
        (double(schedule.products()) * schedule.stripsPerWarp *
         schedule.tilesPerWarp);
  }
  return step;
}

/// Instructions for all heads of a token.
static double headInstructions(const rotary_append::Problem &append) {
  auto queries = double(append.heads), keys = double(append.cache.keyHeads);
  double rotated = append.rotated ? queries + keys : 0;
  return (queries + 2 * keys) * appendInstructions +
         rotated * rotateInstructions;
}

/// The heads of the last of a tile's slices. Blocks that share an SM wait while
/// others multiply, but for the last wave.
static void addAppend(const Problem &problem, const Schedule &schedule,
                      const target::Target &target, int64_t tiles, Cost &cost) {
  const rotary_append::Problem &append = *problem.append;
  Rounds rounds = roundsOf(schedule, target, tiles);
  auto tokens = double(std::min(schedule.blockTokens(), int(problem.tokens)));
  double heads = double(schedule.blockStrips()) * skinny_linear::stripRows /
                 double(append.cache.keySize);
  double waves = schedule.blocksPerSm > 1 ? 1 : rounds.waves;
  constexpr double quarters = 4;
  double perHead = headInstructions(append) / double(problem.heads());
  double issue =
      rounds.blocks * tokens * heads * perHead * issueClocks / quarters;
  bool codes = !append.cache.key.isFloat() || !append.cache.value.isFloat();
  double wave = appendSeconds + (codes ? encodeSeconds : 0) +
                (append.norm ? headNormSeconds : 0);
  cost.add("append", waves * wave + issue / target.rates.clock.value,
           spellNumber(wave * 1e6) + " us for the heads of a wave of blocks (" +
               "measured: 4.5, codes 4.5 and norms 1.5 more) and " +
               std::to_string(int64_t(perHead)) +
               " instructions a head and token (counted)");
}

/// What goes through memory beside and after the products.
static void addTraffic(const target::Rates &rates, Cost &cost) {
  cost.add(
      "weights",
      std::max(0.0, double(cost.weightBytes) / rates.streamBandwidth.value -
                        cost.seconds),
      spellBytes(double(cost.weightBytes)) + " at the " +
          spell(rates.streamBandwidth, "stream bandwidth") +
          ": what exceeds the terms above");
  cost.add("output", double(cost.outputBytes) / rates.copyBandwidth.value,
           spellBytes(double(cost.outputBytes)) + " at the " +
               spell(rates.copyBandwidth, "copy bandwidth"));
  cost.add(
      "partial sums", double(cost.partialBytes) / rates.copyBandwidth.value,
      spellBytes(double(cost.partialBytes)) + " written and read, at the " +
          spell(rates.copyBandwidth, "copy bandwidth"));
}

Cost gemm::costOf(const Problem &problem, const Schedule &schedule,
                  const target::Target &target) {
  const target::Rates &rates = target.rates;
  Plan plan = planOf(problem, schedule);
  Launch launch = launchOf(problem, schedule, problem.tokens);
  Cost cost = trafficOf(problem, launch);
  StepClocks step = meanStep(problem, schedule, target, cost);
  Rounds rounds = roundsOf(schedule, target, launch.grid);
  double steps = double(plan.stepsPerSlice);
  bool int8 = problem.activation == ElementType::Int8;
  double products =
      mmaSeconds(cost.products, int8 ? flopsOfByteMma : flopsOfHalfMma, target);
  const target::Figure &clock = clockOf(products, target);
  products *= rates.clock.value / clock.value;
  cost.add("products", products,
           "all products at " + spell(rates.mmaClocks, "clocks of mma.sync") +
               ", " + spell(clock, "clock"));
  cost.add("waves",
           std::max(0.0, rounds.blocks * steps * step.tensor / clock.value -
                             products),
           std::to_string(launch.grid) + " blocks on " +
               std::to_string(target.multiprocessors) +
               " SMs: padding of tiles and SMs without work");
  cost.add("instructions", rounds.blocks * steps * step.issue / clock.value,
           spellNumber(cost.instructionsPerProduct) +
               " instructions a product, 0.9 clocks each (measured)");
  cost.add("steps", rounds.waves * steps * stepClocks / clock.value,
           "210 clocks a step, of all blocks of an SM together (measured)");
  bool uneven = schedule.blocksPerSm > 1 &&
                double(launch.grid) < 0.9 * target.multiprocessors;
  cost.add("placement", uneven ? cost.seconds * unevenPlacement : 0,
           "with SMs left free, two blocks of the next kernel meet on one: a "
           "fifth longer (measured)");
  cost.add("ramp", rampSeconds,
           "2.15 us for the first stages and the way out (measured)");
  if (problem.append)
    addAppend(problem, schedule, target, launch.grid / schedule.slices, cost);
  addTraffic(rates, cost);
  cost.add("dependency", rates.dependencyGap.value,
           spell(rates.dependencyGap, "gap of a dependent kernel"));
  cost.roofPart = products / cost.seconds;
  return cost;
}
