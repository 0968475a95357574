// The runs of a page of the cache lie behind each other, aligned, and hold what
// their formats need.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/cuda/KvPageLayout.h"

#include <gtest/gtest.h>

using namespace qopt;
using namespace qopt::cuda;

static KvPageLayout layoutOf(const std::string &key, const std::string &value) {
  KvPageLayout layout;
  layout.keyHeads = 3;
  layout.keySize = 72;
  layout.valueSize = 64;
  layout.page = 16;
  layout.key = *quant::parseFormat(key);
  layout.value = *quant::parseFormat(value);
  return layout;
}

TEST(KvPageLayout, PlacesRunsBehindEachOther) {
  for (const char *key : {"f16", "bf16", "int8", "int4", "fp8_e4m3"})
    for (const char *value : {"f16", "int8", "int4", "fp8_e4m3"}) {
      KvPageLayout layout = layoutOf(key, value);
      ASSERT_TRUE(layout.check().ok());
      int64_t end = 0;
      for (int64_t head = 0; head < layout.keyHeads; ++head) {
        EXPECT_GE(layout.keyOffset(head), end);
        EXPECT_EQ(layout.keyOffset(head) % 16, 0);
        end = layout.keyOffset(head) + layout.keyCodeBytes() +
              layout.keyScaleBytes();
        EXPECT_GE(layout.valueOffset(head), end);
        EXPECT_LT(layout.valueOffset(head), end + 16);
        EXPECT_EQ(layout.valueOffset(head) % 16, 0);
        end = layout.valueOffset(head) + layout.valueCodeBytes() +
              layout.valueScaleBytes();
      }
      EXPECT_GE(layout.pageBytes(), end);
      EXPECT_EQ(layout.pageBytes() % 128, 0);
    }
}

TEST(KvPageLayout, HasTheBytesOfItsFormats) {
  KvPageLayout layout = layoutOf("int8", "int4");
  EXPECT_EQ(layout.keyCodeBytes(), 16 * 72);
  EXPECT_EQ(layout.valueCodeBytes(), 16 * 64 / 2);
  EXPECT_EQ(layout.keyScaleBytes(), 32);
  EXPECT_EQ(layoutOf("fp8_e4m3", "f16").keyCodeBytes(), 16 * 72);
  EXPECT_EQ(layoutOf("fp8_e4m3", "f16").keyScaleBytes(), 32);
  EXPECT_EQ(layoutOf("f16", "f16").keyCodeBytes(), 16 * 72 * 2);
  EXPECT_EQ(layoutOf("f16", "f16").keyScaleBytes(), 0);
}

TEST(KvPageLayout, GivesEachPositionTheNumbersOfItsGroups) {
  KvPageLayout layout = layoutOf("int2_g32", "int3_asym_g16_zf");
  layout.page = 32;
  ASSERT_TRUE(layout.check().ok());
  EXPECT_EQ(layout.keyRow(), 80);
  EXPECT_EQ(layout.keyCodeBytes(), 32 * 20);
  EXPECT_EQ(layout.valueCodeBytes(), 32 * 24);
  EXPECT_EQ(layout.valueNumbers(), 8);
  EXPECT_EQ(layout.valueScaleBytes(), 32 * 8 * 2);
  EXPECT_EQ(layout.positionBytes(), 20 + 80 * 2 / 32 + 24 + 16);
  layout.keySize = 65;
  layout.key = *quant::parseFormat("int3_g32");
  EXPECT_EQ(layout.keyRow(), 96);
}

/// Rows of whole words in every format, whatever the head.
TEST(KvPageLayout, RoundsRowsUp) {
  KvPageLayout layout = layoutOf("int8_asym_g32_zf", "int4");
  layout.page = 32;
  layout.keySize = 19;
  layout.valueSize = 12;
  ASSERT_TRUE(layout.check().ok());
  EXPECT_EQ(layout.keyCodeBytes(), 32 * 24);
  EXPECT_EQ(layout.valueCodeBytes(), 32 * 16 / 2);
  EXPECT_EQ(layout.groupScaleBytes(), 24 * 4);
  EXPECT_EQ(layout.slotBytes(), 3 * 32 * 24 * 2);
  EXPECT_EQ(layout.positionBytes(), 24 + 24 * 4 / 32 + 8 + 2);
  EXPECT_EQ(layout.valueOffset(0), layout.keyCodeBytes() + 24 * 4);
}

TEST(KvPageLayout, RefusesWhatNoKernelReads) {
  EXPECT_EQ(layoutOf("f32", "f16").check().message(),
            "a GPU keeps its cache in f16, bf16, int8, int4 or fp8_e4m3, or "
            "in integers with groups, got f32");
  EXPECT_EQ(layoutOf("f16", "int3").check().code(), StatusCode::Unsupported);
  EXPECT_EQ(layoutOf("f16", "int4_asym_g32").check().code(),
            StatusCode::Unsupported);
  EXPECT_EQ(layoutOf("f16", "int4_g48").check().message(),
            "values in groups of 48 channels; expected a multiple of 16 that "
            "divides heads of 64");
  KvPageLayout layout = layoutOf("f16", "f16");
  layout.keySize = 1025;
  EXPECT_EQ(layout.check().message(), "heads of 1025 channels; a GPU takes up "
                                      "to 1024; compile with --target host");
  layout.keySize = 0;
  EXPECT_EQ(layout.check().code(), StatusCode::Unsupported);
  layout = layoutOf("f16", "f16");
  layout.page = 24;
  EXPECT_EQ(layout.check().message(),
            "cache pages of 24 positions; expected a multiple of 16");
}
