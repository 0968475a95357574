// What a launch of `attention_decode` costs: arithmetic on the target's
// figures.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/AttentionDecode/AttentionDecodeLoops.h"

#include <algorithm>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::attention_decode;

static int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Lane instructions of the main loop for an element of a product, over all
/// rows of a tile of 8, zeros behind a head's end included: counted in the
/// assembled sm_90a kernels for heads of 128 channels. Of fp8 1.93 are counted;
/// its conversions are taken to have half of the rate (from memory, not
/// measured) and count twice.
static double instructionsOf(const quant::Format &format) {
  switch (format.element) {
  case quant::ElementType::Int8:
    return 2.56;
  case quant::ElementType::Fp8E4m3:
    return 2.43;
  case quant::ElementType::Int4:
    return 2.07;
  case quant::ElementType::Int3: // of keys, beside int4 in groups
    return 3.77;
  case quant::ElementType::Int2:
    return 2.17;
  default:
    return 1.99;
  }
}

/// The same of a value's element, in groups with offsets, too: counted beside
/// keys of int8 and int4.
static double valueInstructionsOf(const quant::Format &format) {
  if (!format.groupSize)
    return instructionsOf(format);
  switch (format.element) {
  case quant::ElementType::Int8:
    return 4.14;
  case quant::ElementType::Int4:
    return 3.16;
  case quant::ElementType::Int3:
    return 4.89;
  default:
    return 2.61;
  }
}

// Measured on an H200, for heads of 64 and 128 channels in bf16, fp8, int8 and
// int4 and contexts of 128 to 32768 positions (bench/RESULTS.md).
/// The way through the workspace, and what a split more takes the last block of
/// a head, which adds them.
constexpr double combineSeconds = 1.2e-6, splitSeconds = 0.035e-6;
/// Instructions of a clock of a warp that is alone on its quarter of an SM.
constexpr double aloneIssue = 0.5;

namespace {
/// What the terms share.
struct Work {
  const Problem &problem;
  const Schedule &schedule;
  const target::Target &target;
  Plan plan;
  Launch launch;
  int64_t seen;      ///< positions of a sequence
  int64_t positions; ///< of all sequences, key heads and blocks of rows
  double latency;    ///< of a load while the memory is busy

  int64_t blocks() const { return launch.x * launch.y * launch.z; }
  int64_t room() const {
    return int64_t(target.multiprocessors) * schedule.blocksPerSm;
  }
  /// Tiles that a warp walks.
  int64_t walked() const {
    return ceilDiv(ceilDiv(seen, schedule.tile), launch.x * schedule.warps);
  }
  double waves() const {
    if (blocks() <= room())
      return 1;
    return double(ceilDiv(blocks(), room()) * room()) / double(blocks());
  }
};
} // namespace

/// The cache's way to the SMs; the result: seconds of all its terms.
static double addStream(Cost &cost, const Work &work, double bytes) {
  const target::Rates &rates = work.target.rates;
  double stream = bytes / rates.streamBandwidth.value;
  cost.add("cache", stream,
           spellBytes(bytes) +
               ", those of the cache once for each block of rows; " +
               spell(rates.streamBandwidth, "stream bandwidth"));
  double tail = stream * (work.waves() - 1);
  cost.add("tail", tail,
           std::to_string(work.blocks()) + " equal blocks in " +
               std::to_string(work.room()) + " places");
  // Little's law, where there are few blocks.
  double inFlight =
      double(std::min(work.blocks(), work.room()) * work.schedule.warps *
             (work.schedule.stages - 1) * work.plan.stageBytes);
  // The first tiles are on their way before the dependency is over.
  double limited = std::max(0.0, bytes - inFlight) * work.latency / inFlight;
  double excess = std::max(0.0, limited - stream - tail);
  cost.add("latency", excess,
           spellBytes(inFlight) + " in flight, what exceeds the stream; " +
               spell(rates.bytesInFlight, "bytes in flight"));
  return stream + tail + excess;
}

static void addArithmetic(Cost &cost, const Work &work, double streamed) {
  const target::Rates &rates = work.target.rates;
  const cuda::KvPageLayout &cache = work.problem.cache;
  double tensor = mmaSeconds(cost.products, flopsOfHalfMma, work.target);
  constexpr double issuePart = 0.6; // that a main loop reaches
  double ofPosition =
      double(work.plan.keyChannels) * instructionsOf(cache.key) +
      double(work.plan.valueTiles * 16) * valueInstructionsOf(cache.value);
  double issue = double(work.positions) * ofPosition /
                 (rates.issue.value * issuePart * rates.clock.value *
                  work.target.multiprocessors);
  // The last tiles of a warp, copied ahead, are left when the last bytes come.
  int64_t walked = work.walked();
  int64_t last = std::min<int64_t>(walked, work.schedule.stages - 1);
  // Blocks that are too few leave SMs without work.
  double idle =
      std::max(1.0, work.target.multiprocessors / double(work.blocks()));
  double arithmetic = std::max(tensor, issue) * work.waves() * idle *
                      double(walked - last) / double(walked);
  cost.add(
      "arithmetic", std::max(0.0, arithmetic - streamed),
      std::string(issue > tensor ? "instructions at 60 % issue" : "products") +
          ", of all tiles but the last, what exceeds the stream; " +
          spell(rates.clock, "clock"));
  double perTile =
      work.schedule.tile * ofPosition / (32 * aloneIssue * rates.clock.value);
  cost.add("last tiles", double(last) * perTile,
           std::to_string(last) + " of a warp's " + std::to_string(walked) +
               " tiles, an instruction every other clock (measured); " +
               spell(rates.clock, "clock"));
}

static void addLoops(Cost &cost, const Work &work) {
  double clocks = loopClocksOf(work.problem, work.schedule);
  if (clocks == 0)
    return;
  int64_t tiles = work.walked() * ceilDiv(work.blocks(), work.room());
  const target::Figure &clock = work.target.rates.clock;
  cost.add("loops", double(tiles) * clocks / clock.value,
           std::to_string(tiles) + " tiles of a warp, " +
               std::string(loopsWhy) + "; " + spell(clock, "clock"));
}

Cost attention_decode::costOf(const Problem &problem, const Schedule &schedule,
                              const target::Target &target, int64_t sequences,
                              int64_t tokens, int64_t context) {
  const target::Rates &rates = target.rates;
  const cuda::KvPageLayout &cache = problem.cache;
  Work work{problem,
            schedule,
            target,
            planOf(problem, schedule),
            launchOf(problem, schedule, target, sequences, tokens, context),
            context,
            0,
            0};
  if (problem.window)
    work.seen = std::min(context, problem.window + tokens - 1);
  int64_t rowBlocks = work.launch.y / cache.keyHeads;
  work.positions = sequences * cache.keyHeads * rowBlocks * work.seen;
  work.latency = rates.bytesInFlight.value * target.multiprocessors /
                 rates.streamBandwidth.value;
  Cost cost;
  int64_t heads = sequences * cache.keyHeads,
          halves = std::min(work.seen, cache.recent + cache.first);
  cost.cacheBytes =
      heads * ((work.seen - halves) * cache.positionBytes() +
               halves * (cache.keyHalfBytes() + cache.valueHalfBytes()));
  cost.activationBytes = sequences * tokens * problem.heads *
                         (cache.keySize + cache.valueSize) * 2;
  cost.partialBytes = 2 * work.launch.workspaceBytes;
  cost.products = 2.0 * double(work.positions) *
                  double(schedule.rows() *
                         (work.plan.keyChannels + work.plan.valueTiles * 16));

  double streamed = addStream(cost, work, double(cost.cacheBytes * rowBlocks));
  addArithmetic(cost, work, streamed);
  addLoops(cost, work);
  if (work.launch.x > 1)
    cost.add("combine",
             double(cost.partialBytes) / rates.copyBandwidth.value +
                 combineSeconds + double(work.launch.x) * splitSeconds,
             std::to_string(work.launch.x) +
                 " splits through the workspace, 1.2 us and 0.035 us each "
                 "(measured); " +
                 spell(rates.copyBandwidth, "copy bandwidth"));
  cost.add("dependency", rates.dependencyGap.value,
           spell(rates.dependencyGap, "gap of a dependent kernel"));
  cost.roofPart =
      double(cost.cacheBytes) / rates.streamBandwidth.value / cost.seconds;
  return cost;
}
