// Every row has a shape that holds it, and launches cover all rows.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/RowShape.h"
#include "lib/Kernels/StreamCost.h"

#include <gtest/gtest.h>

using namespace qopt;
using namespace qopt::kernels;

TEST(RowShape, HoldsEveryRowUpToItsLimit) {
  for (const target::Target *target : target::allTargets())
    for (int64_t columns = 1; columns <= 32768; ++columns) {
      RowShape shape = chooseRowShape(columns);
      Status valid = isValid(shape, columns, *target);
      ASSERT_TRUE(valid.ok()) << columns << ": " << valid.message();
      ASSERT_GE(shape.steps(columns) * shape.threads * shape.width, columns);
    }
}

TEST(RowShape, ReadsEightHalvesAtOnce) {
  EXPECT_EQ(chooseRowShape(4096), (RowShape{512, 8, 1}));
  EXPECT_EQ(chooseRowShape(512), (RowShape{32, 8, 4}));
  EXPECT_EQ(chooseRowShape(14336).threads, 1024);
  EXPECT_EQ(widthOf(12), 4);
  EXPECT_EQ(widthOf(7), 1);
}

TEST(RowShape, SaysWhyNot) {
  const target::Target &target = target::sm90a();
  EXPECT_EQ(isValid({32, 8, 1}, 12, target).message(),
            "rows of 12 elements are not read 8 at a time");
  EXPECT_EQ(isValid({2048, 1, 1}, 12, target).message(),
            "2048 threads; sm_90a has blocks of whole warps, of at most 1024");
  EXPECT_EQ(isValid({64, 1, 2}, 12, target).message(),
            "a row is shared by a warp or by all warps of a block; got 64 "
            "threads and 2 rows");
  EXPECT_EQ(isValid({32, 8, 1}, 32768, target).message(),
            "rows of 32768 elements do not fit the registers of 32 threads");
}

TEST(LaunchShape, CoversAllRows) {
  LaunchShape warps{128, 4, 1, 0}, pieces{128, 1, 3, 0};
  EXPECT_EQ(warps.grid(1), 1);
  EXPECT_EQ(warps.grid(9), 3);
  EXPECT_EQ(pieces.grid(9), 27);
}

TEST(StreamCost, IsNoFasterThanTheMemory) {
  const target::Target &target = target::sm90a();
  StreamTraffic all{1 << 30, 1 << 30, 100000, 1}, one{1 << 20, 0, 1, 1};
  StreamCost cost = streamCostOf(all, target);
  EXPECT_GE(cost.seconds, double(1ll << 31) / target.rates.copyBandwidth.value);
  EXPECT_LT(cost.roofPart, 1);
  // One block has one SM's part of the bandwidth.
  EXPECT_GT(streamCostOf(one, target).terms[0].seconds,
            100 * double(1 << 20) / target.rates.copyBandwidth.value);
}
