// The choice within a budget is the one that trying all finds, never exceeds
// the budget, and says what would be needed where there is none.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/assignment/ExactChoice.h"
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <random>

using namespace qopt;
using namespace qopt::quant;

using Items = std::vector<std::vector<SizedOption>>;

namespace {

struct Sums {
  int64_t bytes = 0, time = 0;
  double cost = 0;
};

Sums sumsOf(const Items &items, const std::vector<size_t> &choice) {
  Sums sums;
  for (size_t i = 0; i < items.size(); ++i) { // of the first items, too
    sums.bytes += items[i][choice[i]].bytes;
    sums.time += items[i][choice[i]].time;
    sums.cost += items[i][choice[i]].cost;
  }
  return sums;
}

/// The least cost of all choices within the budget.
double leastCost(const Items &items, size_t item, int64_t budget) {
  if (item == items.size())
    return 0;
  double least = std::numeric_limits<double>::infinity();
  for (const SizedOption &option : items[item])
    if (option.bytes <= budget)
      least = std::min(least, option.cost + leastCost(items, item + 1,
                                                      budget - option.bytes));
  return least;
}

Items randomItems(size_t count, unsigned seed, int64_t mostBytes) {
  std::mt19937_64 random(seed);
  Items items(count);
  for (auto &options : items)
    for (size_t i = 0, n = 1 + random() % 4; i < n; ++i)
      options.push_back({int64_t(random() % size_t(mostBytes)),
                         double(random() % 1000) / 1000});
  return items;
}

TEST(ExactChoice, isThatOfTryingAll) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    Items items = randomItems(7, seed, 50);
    for (int64_t budget = leastBytes(items); budget < 350; budget += 23) {
      auto choice = chooseWithin(items, budget);
      ASSERT_TRUE(choice.ok());
      Sums sums = sumsOf(items, *choice);
      EXPECT_LE(sums.bytes, budget);
      EXPECT_NEAR(sums.cost, leastCost(items, 0, budget), 1e-12);
    }
  }
}

/// The least cost where the first `part` items have a bound of their own.
double leastCost(const Items &items, size_t item, size_t part, int64_t ofPart,
                 int64_t budget) {
  if (item == items.size())
    return 0;
  double least = std::numeric_limits<double>::infinity();
  for (const SizedOption &option : items[item]) {
    int64_t left = item < part ? ofPart - option.bytes : ofPart;
    if (option.bytes <= budget && left >= 0)
      least =
          std::min(least, option.cost + leastCost(items, item + 1, part, left,
                                                  budget - option.bytes));
  }
  return least;
}

TEST(ExactChoice, keepsABoundOfTheFirstItems) {
  for (unsigned seed = 0; seed < 100; ++seed) {
    Items items = randomItems(7, seed, 50);
    Items first(items.begin(), items.begin() + 4);
    for (int64_t budget = leastBytes(items); budget < 350; budget += 31)
      for (int64_t part : {leastBytes(first), leastBytes(first) + 40}) {
        auto choice = chooseWithin(items, {{4, part}, {items.size(), budget}});
        ASSERT_TRUE(choice.ok());
        Sums sums = sumsOf(items, *choice), ofFirst = sumsOf(first, *choice);
        EXPECT_LE(sums.bytes, budget);
        EXPECT_LE(ofFirst.bytes, part);
        EXPECT_NEAR(sums.cost, leastCost(items, 0, 4, part, budget), 1e-12);
      }
  }
}

Items withTimes(Items items, unsigned seed) {
  std::mt19937_64 random(seed);
  for (auto &options : items)
    for (SizedOption &option : options)
      option.time = int64_t(random() % 50);
  return items;
}

/// The least cost within both bounds; infinite where nothing is.
double leastCostWithTime(const Items &items, size_t item, int64_t budget,
                         int64_t time) {
  if (budget < 0 || time < 0)
    return std::numeric_limits<double>::infinity();
  if (item == items.size())
    return 0;
  double least = std::numeric_limits<double>::infinity();
  for (const SizedOption &option : items[item])
    least =
        std::min(least, option.cost + leastCostWithTime(items, item + 1,
                                                        budget - option.bytes,
                                                        time - option.time));
  return least;
}

TEST(ExactChoice, keepsABoundOfTimeToo) {
  int infeasible = 0;
  for (unsigned seed = 0; seed < 100; ++seed) {
    Items items = withTimes(randomItems(7, seed, 50), seed);
    for (int64_t budget : {60, 120, 200, 1000})
      for (int64_t time : {60, 120, 200, 1000}) {
        auto choice = chooseWithin(items, {{items.size(), budget}}, time);
        double least = leastCostWithTime(items, 0, budget, time);
        ASSERT_EQ(choice.ok(), std::isfinite(least));
        if (!choice.ok()) {
          EXPECT_EQ(choice.status().code(), StatusCode::Infeasible);
          ++infeasible;
          continue;
        }
        Sums sums = sumsOf(items, *choice);
        EXPECT_LE(sums.bytes, budget);
        EXPECT_LE(sums.time, time);
        EXPECT_NEAR(sums.cost, least, 1e-12);
      }
  }
  EXPECT_GT(infeasible, 100);
}

TEST(ExactChoice, saysThatBothCannotBeMet) {
  auto choice = chooseWithin({{{10, 0, 40}, {40, 0, 10}}}, {{1, 30}}, 30);
  EXPECT_EQ(choice.status().message(),
            "each budget can be met, but not both: no choice of at most 30 "
            "bytes takes at most 30");
  choice = chooseWithin({{{10, 0, 40}, {40, 0, 10}}}, {{1, 50}}, 9);
  EXPECT_EQ(choice.status().message(),
            "the fastest choice takes 10, more than the budget of 9");
}

TEST(ExactChoice, ofEqualCostsIsTheSmallest) {
  auto choice = chooseWithin({{{30, 1}, {10, 1}, {20, 1}}}, 100);
  EXPECT_EQ(*choice, std::vector<size_t>{1});
}

TEST(ExactChoice, ofNothingIsEmpty) {
  EXPECT_TRUE(chooseWithin({}, 0)->empty());
}

TEST(ExactChoice, saysWhatWouldBeNeeded) {
  auto choice = chooseWithin({{{30, 0}, {40, 1}}, {{7, 0}}}, 36);
  EXPECT_EQ(choice.status().code(), StatusCode::Infeasible);
  EXPECT_EQ(choice.status().message(),
            "the smallest choice has 37 bytes, more than the budget of 36");
  EXPECT_TRUE(chooseWithin({{{30, 0}, {40, 1}}, {{7, 0}}}, 37).ok());
}

/// So many sizes that states are thinned: the bound still holds, and hardly
/// anything of the budget is left.
TEST(ExactChoice, keepsTheBudgetOfLargeModels) {
  std::mt19937_64 random(3);
  Items items(400);
  for (auto &options : items) {
    int64_t elements = 1 + int64_t(random() % 100000000);
    double loss = double(1 + random() % 1000);
    for (int bits = 2; bits <= 8; ++bits)
      options.push_back({elements * bits / 8 + int64_t(random() % 1000),
                         loss * std::pow(4.0, -bits)});
  }
  int64_t budget = leastBytes(items) * 2;
  auto choice = chooseWithin(items, budget);
  ASSERT_TRUE(choice.ok());
  Sums sums = sumsOf(items, *choice);
  EXPECT_LE(sums.bytes, budget);
  EXPECT_GE(double(sums.bytes), 0.9999 * double(budget));
}

/// With two bounds states are thinned much sooner, and both still hold.
TEST(ExactChoice, keepsBothBudgetsOfLargeModels) {
  std::mt19937_64 random(3);
  Items items(60);
  for (auto &options : items) {
    int64_t elements = 1 + int64_t(random() % 100000000);
    double loss = double(1 + random() % 1000);
    for (int bits : {2, 3, 4, 6, 8})
      options.push_back(
          {elements * bits / 8, loss * std::pow(4.0, -bits),
           elements * bits / 8 + int64_t(random() % size_t(elements))});
  }
  int64_t least = 0;
  for (auto &options : items)
    least += std::min_element(options.begin(), options.end(),
                              [](const SizedOption &a, const SizedOption &b) {
                                return a.time < b.time;
                              })
                 ->time;
  int64_t budget = leastBytes(items) * 2, time = least * 2;
  auto choice = chooseWithin(items, {{items.size(), budget}}, time);
  ASSERT_TRUE(choice.ok());
  Sums sums = sumsOf(items, *choice);
  EXPECT_LE(sums.bytes, budget);
  EXPECT_LE(sums.time, time);
  EXPECT_GE(std::max(double(sums.bytes) / double(budget),
                     double(sums.time) / double(time)),
            0.98);
}

} // namespace
