// The first index outside of its axis is reported with its place, whatever its
// type, its size and the number of indices; none where all lie inside.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "../KernelTest.h"
#include "lib/Kernels/CheckIndices/CheckIndicesGenerator.h"

#include <gtest/gtest.h>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::check_indices;
using namespace qopt::kernels::test;

struct Found {
  int64_t index = 0;
  int32_t place = -1, rest = 0;
  bool operator==(const Found &) const = default;
};

template <typename T>
static Found check(const std::vector<T> &indices,
                   const std::vector<int32_t> &limits,
                   Interval interval = Interval::FromEitherEnd) {
  Problem problem;
  problem.integer = sizeof(T) == 8 ? Integer::Long : Integer::Word;
  problem.interval = interval;
  problem.limits = int(limits.size());
  const target::Target &target = target::sm90a();
  auto schedule = chooseSchedule(problem, target);
  auto kernel = compileClean(problem, chooseSchedule, buildKernel, target);
  EXPECT_TRUE(kernel.ok()) << kernel.status().message();
  std::vector<Found> report(1);
  Launch launch;
  launch.in(indices).out(report).integer(int32_t(indices.size()));
  for (int32_t limit : limits)
    launch.integer(limit);
  Status ran = launch.run(*kernel, launchOf(problem, *schedule), 1);
  EXPECT_TRUE(ran.ok()) << ran.message();
  return report[0];
}

using CheckIndices = test::KernelTest;

TEST_F(CheckIndices, AcceptsWhatLiesInside) {
  EXPECT_EQ(check<int64_t>({0, 4, -5, 2}, {5}), Found());
  EXPECT_EQ(check<int32_t>({0, 4, -5, 2}, {5}), Found());
  EXPECT_EQ(check<int64_t>({4, 0}, {5}, Interval::FromZero), Found());
}

TEST_F(CheckIndices, NamesTheFirstOutside) {
  EXPECT_EQ(check<int64_t>({0, 5, -6}, {5}), (Found{5, 1}));
  EXPECT_EQ(check<int32_t>({0, -6, 5}, {5}), (Found{-6, 1}));
  EXPECT_EQ(check<int64_t>({0, -1}, {5}, Interval::FromZero), (Found{-1, 1}));
  EXPECT_EQ(check<int32_t>({7}, {0}), (Found{7, 0}));
  std::vector<int64_t> many(1000, 3);
  many[999] = many[300] = many[299] = 4;
  EXPECT_EQ(check<int64_t>(many, {4}), (Found{4, 299}));
}

TEST_F(CheckIndices, ReadsAll64Bits) {
  int64_t two32 = int64_t(1) << 32;
  EXPECT_EQ(check<int64_t>({two32}, {5}), (Found{two32, 0}));
  EXPECT_EQ(check<int64_t>({-two32}, {5}), (Found{-two32, 0}));
  EXPECT_EQ(check<int64_t>({1 - two32, INT64_MIN}, {INT32_MAX}),
            (Found{1 - two32, 0}));
  EXPECT_EQ(check<int32_t>({INT32_MIN}, {INT32_MAX}), (Found{INT32_MIN, 0}));
}

TEST_F(CheckIndices, GivesEachPlaceItsLimit) {
  EXPECT_EQ(check<int64_t>({1, 2, 1, 3}, {2, 3}), (Found{3, 3}));
  EXPECT_EQ(check<int64_t>({1, 2, 0, -3}, {2, 3}), Found());
}

TEST_F(CheckIndices, RefusesTuplesThatNoTensorNeeds) {
  EXPECT_FALSE(isValid({Integer::Long, Interval::FromZero, 9}).ok());
  EXPECT_FALSE(isValid({Integer::Long, Interval::FromZero, 0}).ok());
}
