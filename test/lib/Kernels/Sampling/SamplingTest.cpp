// Tokens that the kernel samples are those of the host, for every option and
// over many draws.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "qopt/Sampling.h"
#include "../KernelTest.h"
#include "lib/Kernels/Sampling/SamplingGenerator.h"
#include "runtime/cuda/SamplingRecord.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::sampling;
using namespace qopt::kernels::test;

namespace {
/// A row of a launch.
struct Draw {
  std::vector<float> logits;
  SamplingOptions options;
  uint64_t index = 0;
  std::vector<int32_t> seen; ///< empty: none are kept
};
} // namespace

static cuda::SamplingRecord recordOf(const Draw &draw, int32_t row) {
  const SamplingOptions &options = draw.options;
  return {options.temperature, options.topP,
          options.minP,        options.repetitionPenalty,
          options.topK,        draw.seen.empty() ? -1 : row,
          options.seed,        draw.index};
}

using Choose = StatusOr<Schedule> (*)(const Problem &, const target::Target &);

static void runCase(const std::vector<Draw> &draws,
                    const target::Target &target = target::sm90a(),
                    Choose choose = chooseSchedule) {
  Problem problem{int64_t(draws[0].logits.size())};
  auto schedule = choose(problem, target);
  ASSERT_TRUE(schedule.ok()) << schedule.status().message();
  auto kernel = compileClean(problem, choose, buildKernel, target);
  ASSERT_TRUE(kernel.ok()) << kernel.status().message();

  std::vector<float> logits;
  std::vector<cuda::SamplingRecord> records;
  size_t words = size_t(seenWords(problem));
  std::vector<uint32_t> seen(words * draws.size(), 0);
  for (size_t row = 0; row < draws.size(); ++row) {
    logits.insert(logits.end(), draws[row].logits.begin(),
                  draws[row].logits.end());
    records.push_back(recordOf(draws[row], int32_t(row)));
    for (int32_t token : draws[row].seen)
      seen[row * words + size_t(token / 32)] |= 1u << token % 32;
  }
  std::vector<uint32_t> expected = seen;
  std::vector<int32_t> tokens(draws.size());
  std::vector<uint32_t> workspace(
      size_t(workspaceBytes(problem, int64_t(draws.size()))) / 4);
  std::vector<uint32_t> counts(draws.size(), 0);
  Launch launch;
  launch.in(logits).in(records).inOut(seen).out(tokens).out(workspace).inOut(
      counts);
  Status ran =
      launch.run(*kernel, launchOf(problem, *schedule), int64_t(draws.size()));
  ASSERT_TRUE(ran.ok()) << ran.message();
  for (size_t row = 0; row < draws.size(); ++row) {
    const Draw &draw = draws[row];
    StatusOr<int32_t> host =
        sampleToken(draw.logits, draw.options, draw.seen, draw.index);
    EXPECT_EQ(tokens[row], host.ok() ? *host : -1) << "row " << row;
    if (host.ok() && !draw.seen.empty())
      expected[row * words + size_t(*host / 32)] |= 1u << *host % 32;
  }
  EXPECT_EQ(seen, expected);
  EXPECT_EQ(counts, std::vector<uint32_t>(draws.size(), 0));
}

/// Rows that draw from the same logits, one after the other.
static std::vector<Draw> stream(const SamplingOptions &options, int count,
                                size_t columns, float deviation = 2) {
  std::vector<Draw> draws;
  for (int i = 0; i < count; ++i)
    draws.push_back({normals(columns, 11, deviation),
                     options,
                     uint64_t(i) + (uint64_t(i % 2) << 33),
                     {}});
  return draws;
}

using Sampling = test::KernelTest;

TEST_F(Sampling, DrawsWhatTheHostDraws) {
  runCase(stream({.temperature = 1, .seed = 7}, 40, 300));
  runCase(stream({.temperature = 0.4f, .seed = ~uint64_t(0)}, 20, 1000));
  runCase(stream({.temperature = 8, .seed = 1}, 20, 100));
}

TEST_F(Sampling, KeepsTheTop) {
  runCase(stream({.temperature = 1, .topK = 5, .seed = 3}, 20, 300));
  runCase(stream({.temperature = 1, .topP = 0.6f, .seed = 3}, 20, 300));
  runCase(stream({.temperature = 1, .minP = 0.2f, .seed = 3}, 20, 300));
  runCase(stream(
      {.temperature = 1.5f, .topK = 40, .topP = 0.9f, .minP = 0.05f, .seed = 5},
      30, 700));
  runCase(stream({.temperature = 1, .topK = 1000, .topP = 1e-6f, .seed = 5}, 3,
                 300));
}

TEST_F(Sampling, OrdersEqualLogitsByToken) {
  // Eight values only, so that most candidates have equals.
  std::vector<Draw> draws;
  for (int i = 0; i < 30; ++i) {
    std::vector<float> logits = normals(400, 2);
    for (float &logit : logits)
      logit = std::round(logit);
    draws.push_back({logits,
                     {.temperature = 1, .topK = 37, .topP = 0.8f, .seed = 9},
                     uint64_t(i),
                     {}});
  }
  runCase(draws);
}

TEST_F(Sampling, PenalisesWhatWasSeen) {
  std::vector<Draw> draws = stream(
      {.temperature = 0.7f, .repetitionPenalty = 1.8f, .seed = 4}, 20, 97);
  for (size_t i = 0; i < draws.size(); ++i)
    draws[i].seen = {0, 5, 5, 31, 32, 96, int32_t(i)};
  draws[3].options.temperature = 0; // greedy, with the penalty
  draws[4].options.topK = 1;
  runCase(draws);
}

TEST_F(Sampling, IsGreedyAndSaysWhereNothingIsFinite) {
  std::vector<Draw> draws = stream({}, 3, 50);
  draws[1].logits.assign(50, NAN);
  draws[2].logits[9] = NAN;
  draws[2].options.temperature = 1;
  draws.push_back({std::vector<float>(50, -INFINITY), {}, 0, {}});
  runCase(draws, target::sm80());
}

TEST_F(Sampling, TakesEveryVocabulary) {
  for (size_t columns :
       {size_t(1), size_t(2), size_t(257), size_t(5000), size_t(70000)})
    runCase(stream({.temperature = 1, .topP = 0.95f, .seed = 2}, 2, columns));
}

/// Rows of three pieces, the last one short, that ask for everything.
static std::vector<Draw> pieces() {
  std::vector<Draw> draws = stream({.temperature = 0.9f,
                                    .topK = 700,
                                    .topP = 0.9f,
                                    .minP = 0.003f,
                                    .repetitionPenalty = 1.2f,
                                    .seed = 8},
                                   4, 9001);
  for (size_t i = 0; i < draws.size(); ++i) {
    draws[i].seen = {0, 4095, 4096, 8191, 8192, 9000};
    // What a piece has largest lies where it may, also far below the row's.
    for (size_t token = 4096; token < 8192; ++token)
      draws[i].logits[token] -= 20 * float(i);
  }
  draws[3].options.topK = 0;
  draws[3].options.topP = 1;
  draws[2].logits.assign(9001, 0.5f); // all in one bin, and equal
  draws[2].options.minP = 1;
  draws.push_back({normals(9001, 5), {}, 0, {}}); // greedy
  for (size_t token = 4096; token < 8192; ++token)
    draws[1].logits[token] = -INFINITY; // a piece without candidates
  return draws;
}

TEST_F(Sampling, DrawsAcrossPieces) { runCase(pieces()); }

TEST_F(Sampling, NeedsNoCountersWithOneBlockARow) {
  runCase(pieces(), target::sm80(), chooseUncounted);
}

TEST_F(Sampling, TakesEveryTemperature) {
  std::vector<Draw> draws;
  for (float temperature : {1e-40f, 1e-6f, 0.02f, 50.f}) {
    draws.push_back({normals(500, 3), {.temperature = temperature}, 3, {}});
    draws.push_back(draws.back());
    for (float &logit : draws.back().logits)
      logit = 1e6f + std::round(logit); // bins of 8e6 places and more
  }
  runCase(draws);
}

TEST_F(Sampling, RefusesSchedulesThatTheRowDoesNotHave) {
  for (int blocks : {0, 4}) {
    Schedule schedule{.blocksPerRow = blocks, .why = ""};
    Status status = isValid(Problem{9001}, schedule, target::sm90a());
    EXPECT_EQ(status.message(), std::to_string(blocks) +
                                    " blocks for a row; expected 1 to 3, its "
                                    "pieces");
  }
}
