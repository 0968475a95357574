// What a launch of `attention_prefill` costs: arithmetic on the target's
// figures.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/AttentionPrefill/AttentionPrefill.h"

#include <algorithm>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::attention_prefill;

Cost attention_prefill::costOf(const Problem &problem, const Schedule &schedule,
                               const target::Target &target, int64_t sequences,
                               int64_t tokens, int64_t context) {
  Plan plan = planOf(problem, schedule);
  Launch launch =
      launchOf(problem, schedule, target, sequences, tokens, context);
  const target::Rates &rates = target.rates;
  const cuda::KvPageLayout &cache = problem.cache;
  // A row sees half of the new tokens in the mean, and all before them.
  double seen = double(context) - double(tokens) / 2;
  if (problem.window)
    seen = std::min(seen, double(problem.window));
  int64_t scales =
      (plan.keyScaleBytes ? 2 : 0) + (plan.valueScaleBytes ? 2 : 0);
  double heads = double(sequences * cache.keyHeads);
  int64_t blocksOfHead = launch.y / cache.keyHeads;
  double rows = double(blocksOfHead * schedule.blockRows());
  Cost cost;
  cost.cacheBytes =
      int64_t(heads * double(context)) * (plan.keyRow + plan.valueRow + scales);
  cost.activationBytes = sequences * tokens * problem.heads *
                         (cache.keySize + cache.valueSize) * 2;
  cost.products =
      2 * heads * rows * seen * double(cache.keySize + plan.valueTiles * 16);

  double stream = double(cost.cacheBytes + cost.activationBytes) /
                  rates.streamBandwidth.value;
  cost.add("cache", stream,
           std::to_string(cost.cacheBytes + cost.activationBytes) +
               " bytes, read from memory once; " +
               spell(rates.streamBandwidth, "stream bandwidth"));
  double tensor =
      cost.products / (rates.tensorHalf.value * rates.mmaSyncPart.value);
  // A fragment of a tile is 512 bytes of shared memory and serves a warp's row
  // tiles, 4096 flops each.
  constexpr double sharedBytesPerClock = 128;
  double shared =
      cost.products / 4096 * 512 / schedule.rowTiles /
      (sharedBytesPerClock * rates.clock.value * target.multiprocessors);
  double products = std::max(tensor, shared);
  cost.add(
      "products", std::max(0.0, products - stream),
      std::string(shared > tensor ? "reads of shared memory" : "tensor cores") +
          ", what exceeds the stream; " +
          spell(rates.tensorHalf, "tensor cores"));
  double room = double(target.multiprocessors) * schedule.blocksPerSm;
  double blocks = double(launch.y * launch.z);
  cost.add("tail", products * std::max(0.0, room / blocks - 1),
           std::to_string(launch.y * launch.z) + " blocks on the SMs' " +
               std::to_string(int64_t(room)) + " places");
  cost.add("dependency", rates.dependencyGap.value,
           spell(rates.dependencyGap, "gap of a dependent kernel"));
  cost.roofPart = stream / cost.seconds;
  return cost;
}
