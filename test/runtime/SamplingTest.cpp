// Sampling follows its definition: the generator's published vectors, the
// filters' effects, the distribution of draws.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "qopt/Sampling.h"

#include "runtime/Philox.h"

#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <map>
#include <vector>

using namespace qopt;

// From the known-answer tests of Random123.
TEST(Philox, GivesThePublishedVectors) {
  using Block = std::array<uint32_t, 4>;
  EXPECT_EQ(runtime::philox({0, 0, 0, 0}, 0),
            (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(runtime::philox({~0u, ~0u, ~0u, ~0u}, ~uint64_t(0)),
            (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(runtime::philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                            uint64_t(0x299f31d0) << 32 | 0xa4093822),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

static std::map<int32_t, double> frequencies(const std::vector<float> &logits,
                                             SamplingOptions options) {
  constexpr int draws = 20'000;
  std::map<int32_t, double> result;
  for (int i = 0; i < draws; ++i)
    result[*sampleToken(logits, options, {}, uint64_t(i))] += 1.0 / draws;
  return result;
}

static const std::vector<float> fourLogits = {std::log(0.1f), std::log(0.4f),
                                              std::log(0.3f), std::log(0.2f)};

TEST(Sampling, GreedyTakesTheFirstOfTheLargest) {
  std::vector<float> logits(100, 0.f);
  logits[70] = logits[33] = 5.f;
  logits[3] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(*sampleToken(logits, {}, {}, 0), 33);
}

TEST(Sampling, LogitsWithoutANumberAreAnError) {
  std::vector<float> logits(20, std::numeric_limits<float>::quiet_NaN());
  EXPECT_EQ(sampleToken(logits, {}, {}, 0).status().code(),
            StatusCode::BadArtifact);
}

TEST(Sampling, DrawsFollowTheProbabilities) {
  SamplingOptions options;
  options.temperature = 1;
  options.seed = 7;
  std::map<int32_t, double> found = frequencies(fourLogits, options);
  EXPECT_NEAR(found[0], 0.1, 0.01);
  EXPECT_NEAR(found[1], 0.4, 0.015);
  EXPECT_NEAR(found[2], 0.3, 0.015);
  EXPECT_NEAR(found[3], 0.2, 0.015);
  options.temperature = 0.5f; // squares the probabilities
  EXPECT_NEAR(frequencies(fourLogits, options)[1], 0.16 / 0.30, 0.015);
}

TEST(Sampling, FiltersKeepWhatTheySay) {
  SamplingOptions options;
  options.temperature = 1;
  options.topK = 2;
  std::map<int32_t, double> found = frequencies(fourLogits, options);
  EXPECT_EQ(found.size(), 2u);
  EXPECT_NEAR(found[1], 4.0 / 7, 0.015);
  options = {.temperature = 1, .topP = 0.65f};
  EXPECT_EQ(frequencies(fourLogits, options).size(), 2u);
  options = {.temperature = 1, .topP = 0.75f};
  EXPECT_EQ(frequencies(fourLogits, options).size(), 3u);
  options = {.temperature = 1, .minP = 0.45f};
  EXPECT_EQ(frequencies(fourLogits, options).size(), 3u);
}

TEST(Sampling, ARepeatedTokenIsPenalisedOnce) {
  SamplingOptions options;
  options.repetitionPenalty = 2;
  std::vector<int32_t> seen = {1, 1, 1};
  EXPECT_EQ(*sampleToken(std::vector<float>{2.9f, 6.f}, options, seen, 0), 1);
  EXPECT_EQ(*sampleToken(std::vector<float>{3.1f, 6.f}, options, seen, 0), 0);
  EXPECT_EQ(*sampleToken(std::vector<float>{-1.5f, -1.f}, options, seen, 0), 0);
}

TEST(Sampling, ADrawDependsOnSeedAndIndexOnly) {
  std::vector<float> logits(1000, 0.f);
  SamplingOptions options;
  options.temperature = 1;
  options.seed = 3;
  int32_t first = *sampleToken(logits, options, {}, 5);
  EXPECT_EQ(*sampleToken(logits, options, {}, 5), first);
  EXPECT_NE(*sampleToken(logits, options, {}, 6), first);
  options.seed = 4;
  EXPECT_NE(*sampleToken(logits, options, {}, 5), first);
}

TEST(Sampling, OptionsOutOfRangeAreNamed) {
  auto message = [](SamplingOptions options) {
    return checkSampling(options).message();
  };
  EXPECT_EQ(message({}), "");
  EXPECT_NE(message({.temperature = -1}).find("temperature"),
            std::string::npos);
  EXPECT_EQ(message({.temperature = INFINITY}),
            "--temperature must be 0 (greedy) or above, and finite, got inf");
  EXPECT_NE(message({.topK = -2}).find("top-k"), std::string::npos);
  EXPECT_NE(message({.topP = 0}).find("top-p"), std::string::npos);
  EXPECT_NE(message({.minP = 1.5f}).find("min-p"), std::string::npos);
  EXPECT_NE(message({.repetitionPenalty = 0}).find("repetition"),
            std::string::npos);
}
