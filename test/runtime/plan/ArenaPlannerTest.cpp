// The arena: buffers that live together never overlap, and the arena is close
// to the lower bound.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/plan/ArenaPlanner.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <random>

using namespace qopt::runtime;

static void expectDisjoint(const std::vector<Lifetime> &buffers,
                           const ArenaPlan &plan) {
  ASSERT_EQ(plan.offsets.size(), buffers.size());
  for (size_t i = 0; i < buffers.size(); ++i) {
    EXPECT_EQ(plan.offsets[i] % arenaAlignment, 0);
    EXPECT_LE(plan.offsets[i] + buffers[i].bytes, plan.bytes);
    for (size_t j = 0; j < i; ++j) {
      bool together = buffers[i].first <= buffers[j].last &&
                      buffers[j].first <= buffers[i].last;
      bool apart = plan.offsets[i] + buffers[i].bytes <= plan.offsets[j] ||
                   plan.offsets[j] + buffers[j].bytes <= plan.offsets[i];
      EXPECT_TRUE(!together || apart) << i << " and " << j;
    }
  }
}

TEST(ArenaPlanner, AChainNeedsTwoBuffers) {
  std::vector<Lifetime> chain;
  for (uint32_t i = 0; i < 10; ++i)
    chain.push_back({1000, i, i + 1});
  ArenaPlan plan = planArena(chain);
  expectDisjoint(chain, plan);
  EXPECT_EQ(plan.bytes, 2 * 1024);
  EXPECT_EQ(arenaLowerBound(chain), 2 * 1024);
}

TEST(ArenaPlanner, NothingNeedsNothing) {
  EXPECT_EQ(planArena({}).bytes, 0);
  std::vector<Lifetime> empty = {{0, 0, 3}, {0, 1, 2}};
  EXPECT_EQ(planArena(empty).bytes, 0);
}

// What a transformer layer looks like: a residual that lives long, wide
// short-lived buffers between.
TEST(ArenaPlanner, ATransformerReachesTheBound) {
  std::vector<Lifetime> buffers;
  for (uint32_t layer = 0; layer < 12; ++layer) {
    uint32_t at = layer * 8;
    buffers.push_back({2048, at, at + 8});
    buffers.push_back({600, at, at + 1});
    buffers.push_back({3072, at + 1, at + 3});
    buffers.push_back({2048, at + 3, at + 4});
    buffers.push_back({2048, at + 4, at + 8});
    buffers.push_back({600, at + 5, at + 6});
    buffers.push_back({11264, at + 6, at + 7});
    buffers.push_back({1500, at + 7, at + 8});
  }
  ArenaPlan plan = planArena(buffers);
  expectDisjoint(buffers, plan);
  EXPECT_LE(plan.bytes, arenaLowerBound(buffers) * 11 / 10);
}

TEST(ArenaPlanner, RandomBuffersNeverOverlapAndStayNearTheBound) {
  std::mt19937 random(5);
  double worst = 1, sum = 0;
  constexpr int trials = 200;
  for (int trial = 0; trial < trials; ++trial) {
    std::vector<Lifetime> buffers(1 + random() % 120);
    for (Lifetime &life : buffers) {
      life.bytes = random() % 2 ? random() % 5000 : 64 << random() % 8;
      life.first = random() % 60;
      life.last = life.first + random() % (random() % 4 ? 4 : 30);
    }
    ArenaPlan plan = planArena(buffers);
    expectDisjoint(buffers, plan);
    EXPECT_EQ(plan.offsets, planArena(buffers).offsets);
    double ratio = double(plan.bytes) / double(arenaLowerBound(buffers));
    EXPECT_GE(ratio, 1.0);
    worst = std::max(worst, ratio);
    sum += ratio;
  }
  EXPECT_LE(worst, 1.4);
  EXPECT_LE(sum / trials, 1.08);
}
