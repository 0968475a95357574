// What a schedule of `gemm` is predicted to take. A stage takes as long as the
// slowest of tensor cores, issue, shared memory and second-level cache; blocks
// come in waves. Every term names the figure that it rests on.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Gemm/Gemm.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearPack.h"
#include "lib/Quant/Element.h"

#include <algorithm>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::gemm;
using quant::ElementType;

/// Part of the issue slots that such loops were seen to use: GPU.md's budget.
constexpr double issuePart = 0.6;
/// Bytes per clock and SM from shared memory, and from the second-level cache:
/// the latter is what the published bf16 ladder's 128 x 256 tiles took at 777
/// TFLOP/s without multicast.
constexpr double sharedBytesPerClock = 128, cacheBytesPerClock = 46;
/// Clocks of a stage in which its barrier keeps the tensor cores waiting,
/// beyond the products that are under way. Not measured.
constexpr double barrierClocks = 40;
/// Of a trip to the second-level cache under load, seconds.
constexpr double loadedLatency = 0.6e-6;

/// Instructions that make the fragment of one product from its codes.
static double fragmentInstructions(const quant::Format &format,
                                   ElementType activation,
                                   const target::Target &target) {
  if (activation == ElementType::Int8)
    return 4 + 4; // prmt, sign
  bool bf16 = activation == ElementType::BF16;
  double scaled = format.granularity == quant::Granularity::Group ? 4 : 0;
  if (format.element == ElementType::Int4)
    return (bf16 ? 3 + 4 : 1 + 4) + 4 + scaled; // shifts, lop3, zero, scale
  if (format.element == ElementType::Fp8E4m3)
    // Conversions have half of the rate; else prmt, and, shift, lop3, fma.
    return (!bf16 && target.features.fp8Convert ? 4 * 2 : 4 * 5) + scaled;
  if (format.element == ElementType::Int8)
    return (bf16 ? 2 * (1 + 4 + 2) : 4 + 4) + scaled;
  return 0;
}

/// Warp instructions of a stage, of one warp.
static double stageInstructions(const Problem &problem,
                                const Schedule &schedule,
                                const target::Target &target, size_t segment) {
  const quant::Format &format = problem.segments[segment].weight;
  SegmentPlan part = segmentPlanOf(problem, schedule, segment);
  double strips = schedule.stripsPerWarp, tiles = schedule.tilesPerWarp;
  double products = 4; // of a stage, strip and tile
  double loads = double(part.codeBytes) / 512 * strips +
                 tiles * (problem.activation == ElementType::Int8 ? 4 : 2);
  double perGroup = format.isSymmetric() ? 5 : 14;
  double copies = double(planOf(problem, schedule).stageBytes) / 16 /
                  double(schedule.threads());
  return products * strips *
             (tiles +
              fragmentInstructions(format, problem.activation, target)) +
         loads + double(part.groups) * strips * perGroup + 3 * copies + 24;
}

namespace {
/// Clocks of an SM for a stage of one block.
struct StageClocks {
  double tensor, issue, shared, cache;
  double slowest() const { return std::max({tensor, issue, shared, cache}); }
};
} // namespace

static StageClocks clocksOf(const Problem &problem, const Schedule &schedule,
                            const target::Target &target, size_t segment) {
  const target::Rates &rates = target.rates;
  Plan plan = planOf(problem, schedule);
  SegmentPlan part = segmentPlanOf(problem, schedule, segment);
  bool int8 = problem.activation == ElementType::Int8;
  double warps = schedule.rowWarps * schedule.tokenWarps;
  double smClocks = rates.clock.value * target.multiprocessors;
  double flops = 2.0 * double(schedule.blockStrips()) * 16 *
                 double(schedule.blockTokens()) * double(plan.columnsPerStep);
  double rate = (int8 ? rates.tensorInt8 : rates.tensorHalf).value *
                rates.mmaSyncPart.value;
  double bytes = double(plan.activationBytes) +
                 double(schedule.blockStrips() * part.stripBytes);
  double fragments =
      warps * (schedule.stripsPerWarp * double(part.stripBytes) +
               double(schedule.tilesPerWarp) * 8 * stageRowBytes);
  return {flops / rate * smClocks,
          stageInstructions(problem, schedule, target, segment) * warps * 32 /
              (rates.issue.value * issuePart),
          (bytes + fragments) / sharedBytesPerClock,
          bytes / cacheBytesPerClock};
}

/// Blocks that the fullest SM works on, one after the other.
static double roundsOf(const Schedule &schedule, const target::Target &target,
                       int64_t grid) {
  int64_t wave = int64_t(target.multiprocessors) * schedule.blocksPerSm;
  int64_t rest = grid % wave;
  int64_t whole = grid / wave * schedule.blocksPerSm;
  int64_t last = (rest + target.multiprocessors - 1) / target.multiprocessors;
  return double(whole + last);
}

Cost gemm::costOf(const Problem &problem, const Schedule &schedule,
                  const target::Target &target) {
  const target::Rates &rates = target.rates;
  Plan plan = planOf(problem, schedule);
  Launch launch = launchOf(problem, schedule, problem.tokens);
  Cost cost;
  cost.weightBytes = skinny_linear::packedBytes(problem);
  auto bytes = [](ElementType type) { return quant::elementOf(type).bits / 8; };
  cost.activationBytes =
      problem.tokens * problem.columns * bytes(problem.activation);
  cost.outputBytes =
      problem.tokens * problem.outputColumns() * bytes(problem.output);
  cost.partialBytes = 2 * launch.workspaceBytes;
  cost.products = 2.0 * double(problem.tokens) * double(problem.rows()) *
                  double(problem.columns);

  // Tiles of segments take different times; the mean counts.
  double clocks = 0, tensor = 0;
  for (size_t i = 0; i < problem.segments.size(); ++i) {
    StageClocks stage = clocksOf(problem, schedule, target, i);
    double part = double(segmentPlanOf(problem, schedule, i).tiles) /
                  double(plan.rowTiles);
    clocks += part * stage.slowest();
    tensor += part * stage.tensor;
    cost.instructionsPerProduct +=
        part * stageInstructions(problem, schedule, target, i) /
        (4.0 * schedule.stripsPerWarp * schedule.tilesPerWarp);
  }
  double stages =
      roundsOf(schedule, target, launch.grid) * double(plan.stepsPerSlice);
  double clock = rates.clock.value;
  bool int8 = problem.activation == ElementType::Int8;
  double products =
      cost.products / ((int8 ? rates.tensorInt8 : rates.tensorHalf).value *
                       rates.mmaSyncPart.value);
  cost.add(
      "products", products,
      "all products at " + spell(rates.mmaSyncPart, "mma.sync's part") +
          " of the " +
          spell(int8 ? rates.tensorInt8 : rates.tensorHalf, "tensor cores"));
  cost.add("waves", std::max(0.0, stages * tensor / clock - products),
           std::to_string(launch.grid) + " blocks on " +
               std::to_string(target.multiprocessors) +
               " SMs: padding of tiles and SMs without work");
  cost.add(
      "arithmetic", stages * (clocks - tensor) / clock,
      std::to_string(cost.instructionsPerProduct) +
          " instructions a product at 60 % issue, shared memory at 128 and the "
          "second-level cache at 46 bytes a clock: what exceeds the products");
  cost.add("barriers", stages * barrierClocks / schedule.blocksPerSm / clock,
           "40 clocks a stage (not measured), hidden by a second block");
  cost.add(
      "weights",
      std::max(0.0, double(cost.weightBytes) / rates.streamBandwidth.value -
                        cost.seconds),
      std::to_string(cost.weightBytes) + " bytes at the " +
          spell(rates.streamBandwidth, "stream bandwidth") +
          ": what exceeds the terms above");
  cost.add("output", double(cost.outputBytes) / rates.copyBandwidth.value,
           std::to_string(cost.outputBytes) + " bytes at the " +
               spell(rates.copyBandwidth, "copy bandwidth"));
  cost.add(
      "partial sums",
      double(cost.partialBytes) / rates.copyBandwidth.value +
          (schedule.slices > 1 ? 3 * loadedLatency : 0),
      std::to_string(cost.partialBytes) +
          " bytes written and read, and three trips of 0.6 us (from memory, "
          "not measured)");
  cost.add("dependency", rates.dependencyGap.value,
           spell(rates.dependencyGap, "gap of a dependent kernel"));
  cost.roofPart = products / cost.seconds;
  return cost;
}
