// The errors of groups are those of the numbers that rounding gives, and of
// every width of vectors the same.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/algorithms/GroupError.h"
#include "test/lib/Quant/algorithms/Reference.h"
#include <gtest/gtest.h>
#include <hwy/highway.h>

using namespace qopt;
using namespace qopt::quant;

constexpr int64_t columns = 150; // no whole number of sixteens

static std::vector<float> costsOf() {
  std::vector<float> costs;
  for (int64_t j = 0; j < columns; ++j)
    costs.push_back(float(j % 7) + 0.1f);
  return costs;
}

/// In the order of the sixteen sums, from the numbers themselves.
static double errorOfNumbers(const GridShape &shape,
                             const GroupParameters &group,
                             const std::vector<float> &weights,
                             const std::vector<float> &costs) {
  std::vector<float> numbers(columns);
  roundGroup(shape, group, weights.data(), columns, numbers.data());
  float sums[16] = {};
  double sum = 0;
  auto errorAt = [&](int64_t j) {
    float error = group.value(numbers[size_t(j)]) - weights[size_t(j)];
    return error * error * costs[size_t(j)];
  };
  for (int64_t j = 0; j < columns / 16 * 16; ++j)
    sums[j % 16] += errorAt(j);
  for (float part : sums)
    sum += part;
  for (int64_t j = columns / 16 * 16; j < columns; ++j)
    sum += errorAt(j);
  return sum;
}

/// One of Highway's targets, or the best.
static void choose(int64_t target) {
  hwy::SetSupportedTargetsForTest(target);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

class GroupErrors : public testing::TestWithParam<const char *> {};

TEST_P(GroupErrors, areThoseOfTheNumbers) {
  GridShape shape = gridShape(*parseFormat(GetParam()), 1, columns);
  std::vector<float> weights = reference::randomWeights(columns, 3),
                     costs = costsOf();
  weights[5] = 0;
  weights[6] = -0.0f;
  weights[7] = 100; // beyond the range
  GroupError errors(shape);
  ValueRange range = rangeOf(weights.data(), columns);
  for (float part : {0.01f, 0.3f, 1.0f, -1.0f}) {
    GroupParameters group = coverRange(shape, 0, range);
    group.scale *= part;
    double expected = errorOfNumbers(shape, group, weights, costs);
    EXPECT_GT(expected, 0);
    for (int64_t rest = hwy::SupportedTargets() & HWY_ATTAINABLE_TARGETS; rest;
         rest &= rest - 1) {
      choose(rest & -rest);
      EXPECT_EQ(errors.of(group, weights.data(), costs.data(), columns),
                expected)
          << part << " " << hwy::TargetName(rest & -rest);
      choose(0);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, GroupErrors,
                         testing::Values("int4", "int4_asym", "int4_asym_g160",
                                         "int4_asym_g160_zf", "int2_asym",
                                         "int8", "fp8_e4m3", "lut4_g160",
                                         "lut3_g160", "nf4_g160", "mxfp4"));
