// What sampling takes: the logits into pieces by many SMs, then bins and rounds
// of searches by one for each row.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Sampling/Sampling.h"

#include <algorithm>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::sampling;

/// Of a row that asks for everything: top-k, top-p and draw with four rounds
/// each, and the one token of the key.
constexpr double rounds = 3 * 4 + 1;
/// Of a round, and for each piece: on an H200 rows of 8192 and of 128256
/// logits, some of which ask for everything, take 30 and 95 us.
constexpr double roundClocks = 3500, pieceRoundClocks = 300;
/// Of a quarter of an SM for 32 tokens of a piece: some 80 instructions, a
/// third of them in f64 and these at half the rate.
constexpr double pieceClocks = 110;
/// What an SM reads of the second-level cache, where the bins lie.
constexpr double cacheBytesPerClock = 32;

StreamCost sampling::costOf(const Problem &problem, const Schedule &schedule,
                            int64_t rows, const target::Target &target) {
  int64_t bins = piecesOf(problem) * (binCount * binBytes + largestBytes);
  StreamTraffic traffic;
  traffic.read = rows * (problem.columns * 4 + seenWords(problem) * 4);
  traffic.written = rows * (problem.columns * elementBytes + bins);
  traffic.blocks = launchOf(problem, schedule).grid(rows);
  StreamCost cost = streamCostOf(traffic, target);
  const target::Rates &rates = target.rates;
  int64_t turns = (rows + target.multiprocessors - 1) / target.multiprocessors;
  // Where rows have one block each, it makes their pieces one by one.
  int64_t busiest = (rows * piecesOf(problem) + target.multiprocessors - 1) /
                    target.multiprocessors;
  busiest =
      std::max(busiest, turns * (piecesOf(problem) / schedule.blocksPerRow));
  constexpr double quarters = 4;
  cost.addBeside(
      "pieces",
      double(busiest) * pieceTokens / 32 / quarters * pieceClocks /
          rates.clock.value,
      std::to_string(busiest) +
          " of 4096 tokens on the fullest SM, 110 clocks of its quarter "
          "for 32 tokens (counted, not measured)");
  cost.addBeside(
      "bins", double(turns * bins) / (cacheBytesPerClock * rates.clock.value),
      spellBytes(double(bins)) +
          " of a row by one block, 32 bytes a clock from the second-level "
          "cache (not measured)");
  double round = roundClocks + pieceRoundClocks * double(piecesOf(problem));
  cost.addBeside(
      "searches", double(turns) * rounds * round / rates.clock.value,
      "13 rounds, of a row that asks for everything, of 3500 clocks and "
      "300 a piece (measured) at the " +
          spell(rates.clock, "clock"));
  return cost;
}
