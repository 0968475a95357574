// Bytes of an append: rows in, queries out, keys and values in their formats.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/RotaryAppend/RotaryAppend.h"

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::rotary_append;

int64_t rotary_append::writtenBytes(const Problem &problem, int64_t tokens) {
  const cuda::KvPageLayout &cache = problem.cache;
  return tokens * (2 * problem.heads * cache.keySize +
                   cache.keyHeads * cache.positionBytes() +
                   (cache.recent ? cache.stepRowBytes() : 0));
}

/// Clocks of an SM: on an H200 0.29 ns a head and token for 128 to 2048 tokens.
constexpr double headClocks = 75;

StreamCost rotary_append::costOf(const Problem &problem,
                                 const Schedule &schedule, int64_t tokens,
                                 const target::Target &target) {
  const cuda::KvPageLayout &cache = problem.cache;
  int64_t queries = problem.heads * cache.keySize;
  int64_t angles = problem.angles == Angles::Table ? problem.rotated * 4 : 0;
  StreamTraffic traffic;
  traffic.read =
      tokens *
      (2 * (queries + cache.keyHeads * (cache.keySize + cache.valueSize)) +
       angles);
  traffic.written = writtenBytes(problem, tokens);
  traffic.blocks = launchOf(problem, schedule).grid(tokens);
  StreamCost cost = streamCostOf(traffic, target);
  double heads = double(tokens) * double(problem.heads + 2 * cache.keyHeads);
  double memory = cost.terms.front().seconds;
  double seconds =
      heads * headClocks / (target.multiprocessors * target.rates.clock.value);
  cost.addBeside(
      "heads", std::max(0.0, seconds - memory),
      "75 clocks of an SM for a head of a token (measured, whatever its "
      "size and format): what exceeds the bytes, at the " +
          spell(target.rates.clock, "clock"));
  return cost;
}
