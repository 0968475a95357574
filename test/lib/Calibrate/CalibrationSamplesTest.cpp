// Shows which values the samples of a calibration have: windows and positions
// of a decoder, slices of arrays of a graph, and selections of both.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Calibrate/CalibrationSamples.h"
#include <gtest/gtest.h>

using namespace qopt;
using namespace qopt::calibrate;

namespace {

std::vector<int32_t> idsOf(const TensorView &view) {
  auto *first = static_cast<const int32_t *>(view.data);
  return {first, first + view.shape.back()};
}

TEST(CalibrationSamplesTest, WindowsHaveTokensAndPositions) {
  TokenSamples samples(TokenWindows({1, 2, 3, 4, 5, 6}, 3));
  EXPECT_EQ(samples.count(), 2);
  EXPECT_EQ(samples.rowsOf(64), 3);
  EXPECT_EQ(idsOf(*samples.input(1, "tokens")),
            (std::vector<int32_t>{4, 5, 6}));
  EXPECT_EQ(idsOf(*samples.input(1, "positions")),
            (std::vector<int32_t>{0, 1, 2}));
  EXPECT_FALSE(samples.input(1, "hidden"));
}

/// An array of `samples` rows of two ids that count from `first`.
SampledArray countedIds(const char *name, int64_t samples, int32_t first) {
  Tensor ids(name, DType::I32, {samples, 2});
  for (int64_t i = 0; i < ids.elements(); ++i)
    ids.as<int32_t>()[i] = first + int32_t(i);
  return {ids, {1, 2}};
}

TEST(CalibrationSamplesTest, FilesFollowEachOther) {
  ArraySamples samples;
  samples.add({countedIds("a", 3, 0), countedIds("b", 3, 10)}, {0, 2});
  samples.add({countedIds("b", 2, 50), countedIds("a", 2, 40)}, {1});
  ASSERT_EQ(samples.count(), 3);
  EXPECT_EQ(samples.length(), 2);
  TensorView last = *samples.input(1, "b");
  EXPECT_EQ(last.name, "b");
  EXPECT_EQ(last.shape, (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(idsOf(last), (std::vector<int32_t>{14, 15}));
  EXPECT_EQ(idsOf(*samples.input(2, "a")), (std::vector<int32_t>{42, 43}));
  EXPECT_FALSE(samples.input(0, "c"));

  SelectedSamples some(samples, {2, 0});
  EXPECT_EQ(some.count(), 2);
  EXPECT_EQ(idsOf(*some.input(0, "a")), (std::vector<int32_t>{42, 43}));
}

TEST(CalibrationSamplesTest, ImagesHaveARowForEachPatch) {
  ArraySamples samples;
  Tensor pixels("pixels", DType::F32, {5, 3, 32, 32});
  samples.add({{pixels, {1, 3, 32, 32}}}, {0, 1, 2, 3, 4});
  EXPECT_EQ(samples.length(), 1);
  EXPECT_EQ(samples.rowsOf(64), 48);
}

TEST(CalibrationSamplesTest, FewerAreSpreadEvenly) {
  EXPECT_EQ(spreadSamples(10, 4), (std::vector<int64_t>{0, 2, 5, 7}));
  EXPECT_EQ(spreadSamples(3, 4), (std::vector<int64_t>{0, 1, 2}));
}

} // namespace
