// What a launch of `attention_prefill` costs: arithmetic on the target's
// figures.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/AttentionDecode/AttentionDecodeLoops.h"
#include "lib/Kernels/AttentionPrefill/AttentionPrefill.h"

#include <algorithm>
#include <cmath>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::attention_prefill;

/// Lane instructions of the main loop for a score beside those for channels,
/// and for a channel of a key or value: counted in the assembled sm_90a kernels
/// for heads of 128 channels.
constexpr double scoreInstructions = 23.3;
static double instructionsOf(const quant::Format &format) {
  switch (format.element) {
  case quant::ElementType::Int8:
    return 0.107;
  case quant::ElementType::Fp8E4m3:
    return 0.146;
  case quant::ElementType::Int4:
    return 0.081;
  case quant::ElementType::Int3: // of keys, beside int4 in groups
    return 0.219;
  case quant::ElementType::Int2:
    return 0.122;
  default:
    return 0.02;
  }
}

/// The same of values, in groups with offsets, too.
static double valueInstructionsOf(const quant::Format &format) {
  if (!format.groupSize)
    return instructionsOf(format);
  switch (format.element) {
  case quant::ElementType::Int8:
    return 0.142;
  case quant::ElementType::Int4:
    return 0.116;
  case quant::ElementType::Int3:
    return 0.212;
  default:
    return 0.111;
  }
}

/// Positions that a row sees: half of the new tokens in the mean, and all
/// before them.
static double seenBy(const Problem &problem, int64_t tokens, int64_t context) {
  double seen = double(context) - double(tokens) / 2;
  return problem.window ? std::min(seen, double(problem.window)) : seen;
}

/// Instructions of a score and its part of the output, conversions included.
static double instructionsPerScore(const cuda::KvPageLayout &cache,
                                   const Plan &plan) {
  return scoreInstructions +
         double(plan.keyChannels) * instructionsOf(cache.key) +
         double(plan.valueTiles * 16) * valueInstructionsOf(cache.value);
}

/// Of a head's positions, some of which are read with 16 bits.
static int64_t bytesOf(const cuda::KvPageLayout &cache, int64_t context) {
  int64_t halves = std::min(context, cache.recent + cache.first);
  return (context - halves) * cache.positionBytes() +
         halves * (cache.keyHalfBytes() + cache.valueHalfBytes());
}

/// `tiles`: of the blocks ahead in a place, and of one that sees everything.
static void addLoops(Cost &cost, double tileClocks, double tiles,
                     const target::Figure &clock) {
  if (tileClocks > 0)
    cost.add("loops", tiles * tileClocks / clock.value,
             spellNumber(tiles) + " tiles of a block, " +
                 std::string(attention_decode::loopsWhy) + "; " +
                 spell(clock, "clock"));
}

Cost attention_prefill::costOf(const Problem &problem, const Schedule &schedule,
                               const target::Target &target, int64_t sequences,
                               int64_t tokens, int64_t context) {
  Plan plan = planOf(problem, schedule);
  Launch launch =
      launchOf(problem, schedule, target, sequences, tokens, context);
  const target::Rates &rates = target.rates;
  const cuda::KvPageLayout &cache = problem.cache;
  double seen = seenBy(problem, tokens, context);
  double heads = double(sequences * cache.keyHeads);
  double rows = double(launch.y / cache.keyHeads * schedule.blockRows());
  Cost cost;
  cost.cacheBytes = int64_t(heads) * bytesOf(cache, context);
  cost.activationBytes = sequences * tokens * problem.heads *
                         (cache.keySize + cache.valueSize) * 2;
  cost.products =
      2 * heads * rows * seen * double(plan.keyChannels + plan.valueTiles * 16);

  double stream = double(cost.cacheBytes + cost.activationBytes) /
                  rates.streamBandwidth.value;
  cost.add("cache", stream,
           spellBytes(double(cost.cacheBytes + cost.activationBytes)) +
               ", read from memory once; " +
               spell(rates.streamBandwidth, "stream bandwidth"));
  double products = mmaSeconds(cost.products, flopsOfHalfMma, target);
  const target::Figure &clock = clockOf(products, target);
  products *= rates.clock.value / clock.value;
  double smClocks = clock.value * target.multiprocessors;
  double scores = heads * rows * seen;
  double perScore = instructionsPerScore(cache, plan);
  double issue =
      scores * perScore * issueClocks / (rates.issue.value * smClocks);
  double steps = heads * rows / schedule.blockRows() * seen / schedule.tile /
                 schedule.blocksPerSm * stepClocks / smClocks;
  double work = products + issue + steps;
  cost.add("products", std::max(0.0, products - stream),
           "what exceeds the stream, at " +
               spell(rates.mmaClocks, "clocks of mma.sync") + ", " +
               spell(clock, "clock"));
  cost.add("instructions", issue,
           spellNumber(perScore) +
               " a score (counted for heads of 128 channels), 0.9 clocks each "
               "as measured with gemm");
  cost.add("steps", steps,
           "210 clocks a tile of positions, of all blocks of an SM together, "
           "as measured with gemm");
  double room = double(target.multiprocessors) * schedule.blocksPerSm;
  double blocks = double(launch.y * launch.z);
  cost.add("tail", work * std::max(0.0, room / blocks - 1),
           std::to_string(launch.y * launch.z) + " blocks on the SMs' " +
               std::to_string(int64_t(room)) + " places");
  addLoops(cost, attention_decode::loopClocksOf(problem, schedule),
           std::floor((blocks - 1) / room) * seen / schedule.tile +
               std::ceil(double(context) / schedule.tile),
           rates.clock);
  cost.add("dependency", rates.dependencyGap.value,
           spell(rates.dependencyGap, "gap of a dependent kernel"));
  cost.roofPart = stream / cost.seconds;
  return cost;
}
