// What a launch of `attention_decode` costs: arithmetic on the target's
// figures.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/AttentionDecode/AttentionDecode.h"

#include <algorithm>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::attention_decode;

static int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

static std::string spell(const target::Figure &figure) {
  return std::string(target::spell(figure.basis)) + ": " +
         std::string(figure.source);
}

/// Lane instructions of the main loop for a stored element, over all rows of a
/// tile of 8: counted in the assembled sm_90a kernels for heads of 128 channels.
static double instructionsOf(const quant::Format &format) {
  switch (format.element) {
  case quant::ElementType::Int8:
    return 2.56;
  case quant::ElementType::Int4:
    return 2.07;
  default:
    return 1.99;
  }
}

static void add(Cost &cost, std::string_view name, double seconds,
                std::string why) {
  cost.terms.push_back({name, seconds, std::move(why)});
  cost.seconds += seconds;
}

Cost attention_decode::costOf(const Problem &problem, const Schedule &schedule,
                              const target::Target &target, int64_t sequences,
                              int64_t tokens, int64_t context) {
  Plan plan = planOf(problem, schedule);
  Launch launch =
      launchOf(problem, schedule, target, sequences, tokens, context);
  const target::Rates &rates = target.rates;
  const cuda::KvPageLayout &cache = problem.cache;
  int64_t seen =
      problem.window ? std::min(context, problem.window + tokens - 1) : context;
  int64_t scales =
      (plan.keyScaleBytes ? 2 : 0) + (plan.valueScaleBytes ? 2 : 0);
  int64_t rowBlocks = launch.y / cache.keyHeads;
  Cost cost{};
  cost.cacheBytes = sequences * cache.keyHeads * seen *
                    (plan.keyRow + plan.valueRow + scales);
  cost.activationBytes = sequences * tokens * problem.heads *
                         (cache.keySize + cache.valueSize) * 2;
  cost.partialBytes = 2 * launch.workspaceBytes;
  cost.flops =
      2.0 * double(sequences * cache.keyHeads * rowBlocks) *
      double(seen * schedule.rows() * (cache.keySize + cache.valueSize));

  double stream =
      double(cost.cacheBytes * rowBlocks) / rates.streamBandwidth.value;
  add(cost, "cache", stream,
      std::to_string(cost.cacheBytes) + " bytes, once for each of " +
          std::to_string(rowBlocks) + " blocks of rows; " +
          spell(rates.streamBandwidth));
  int64_t blocks = launch.x * launch.y * launch.z;
  int64_t room = int64_t(target.multiprocessors) * schedule.blocksPerSm;
  double waves = double(ceilDiv(blocks, room) * room) / double(blocks);
  add(cost, "tail", stream * (waves - 1),
      std::to_string(blocks) + " equal blocks in " + std::to_string(room) +
          " places");
  double tensor =
      cost.flops / (rates.tensorHalf.value * rates.mmaSyncPart.value);
  double elements = double(sequences * cache.keyHeads * seen * rowBlocks);
  constexpr double issuePart = 0.6; // that a main loop reaches
  double issue = elements *
                 (double(cache.keySize) * instructionsOf(cache.key) +
                  double(cache.valueSize) * instructionsOf(cache.value)) /
                 (rates.issue.value * issuePart * rates.clock.value *
                  target.multiprocessors);
  double arithmetic = std::max(tensor, issue) * waves;
  add(cost, "arithmetic", std::max(0.0, arithmetic - stream * waves),
      std::string(issue > tensor ? "instructions at 60 % issue" : "products") +
          ", what exceeds the stream; " + spell(rates.clock));
  // The first tile comes after the page table and its own latency.
  double latency = rates.bytesInFlight.value * target.multiprocessors /
                   rates.streamBandwidth.value;
  add(cost, "ramp", 2 * latency,
      "page table, then the first tile, a loaded latency each; " +
          spell(rates.bytesInFlight));
  if (launch.x > 1)
    add(cost, "combine",
        double(cost.partialBytes) / rates.copyBandwidth.value + 2 * latency,
        std::to_string(launch.x) +
            " splits through the workspace, its counter "
            "and its reads a latency each; " +
            spell(rates.copyBandwidth));
  add(cost, "dependency", rates.dependencyGap.value,
      spell(rates.dependencyGap));
  cost.roofPart = stream / cost.seconds;
  return cost;
}
