// Architectures are named as the user writes them, every figure has a source,
// and occupancy follows the limits.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Target/Target.h"
#include <gtest/gtest.h>

using namespace qopt;
using namespace qopt::target;

static std::string messageFor(std::string_view text) {
  auto targets = parseArchitectures(text);
  return targets ? "parsed" : targets.status().message();
}

TEST(Target, namesComeInTheirOrder) {
  auto targets = parseArchitectures("sm_90a,sm_80");
  ASSERT_TRUE(targets.ok());
  ASSERT_EQ(targets->size(), 2u);
  EXPECT_EQ((*targets)[0], &sm90a());
  EXPECT_EQ((*targets)[1], &sm80());
}

TEST(Target, namesThatAreNone) {
  EXPECT_EQ(messageFor("sm_75"),
            "unknown architecture \"sm_75\"; expected one or more of sm_80, "
            "sm_90a, separated by commas; sm_80 serves every GPU of "
            "compute capability 8.0 or later, as PTX");
  EXPECT_EQ(messageFor("sm_80,"),
            "unknown architecture \"\"; expected one or more of sm_80, sm_90a, "
            "separated by commas; sm_80 serves every GPU of "
            "compute capability 8.0 or later, as PTX");
  EXPECT_EQ(messageFor(""), messageFor("sm_80,"));
  EXPECT_EQ(messageFor("sm_80,sm_80"),
            "architecture \"sm_80\" is given twice; expected each once");
}

TEST(Target, everyFigureHasASource) {
  for (const Target *target : allTargets()) {
    const Rates &r = target->rates;
    for (const Figure *figure :
         {&r.clock, &r.issue, &r.streamBandwidth, &r.copyBandwidth,
          &r.mmaClocks, &r.powerClock, &r.launchGap, &r.dependencyGap,
          &r.bytesInFlight, &r.chunkBytes}) {
      EXPECT_FALSE(figure->source.empty()) << target->name;
      EXPECT_FALSE(spell(figure->basis).empty());
      EXPECT_GE(figure->value, 0) << target->name;
    }
    EXPECT_LE(target->limits.sharedPerBlock + target->limits.sharedReserved,
              target->limits.sharedPerSm);
  }
}

TEST(Target, blocksOfAnSm) {
  // Threads, registers, shared memory and the number of blocks each limit once.
  EXPECT_EQ(sm90a().blocksPerMultiprocessor(1024, 32, 0), 2);
  EXPECT_EQ(sm90a().blocksPerMultiprocessor(256, 128, 0), 2);
  EXPECT_EQ(sm90a().blocksPerMultiprocessor(128, 32, 110 * 1024), 2);
  EXPECT_EQ(sm90a().blocksPerMultiprocessor(128, 32, 114 * 1024), 1);
  EXPECT_EQ(sm90a().blocksPerMultiprocessor(32, 16, 0), 32);
  // What does not fit at all.
  EXPECT_EQ(sm90a().blocksPerMultiprocessor(2048, 16, 0), 0);
  EXPECT_EQ(sm80().blocksPerMultiprocessor(128, 32, 164 * 1024), 0);
}

TEST(Target, featuresOfTheGenerations) {
  EXPECT_TRUE(sm80().features.asyncCopy && sm90a().features.asyncCopy);
  EXPECT_TRUE(sm90a().features.bulkCopy && !sm80().features.bulkCopy);
  EXPECT_TRUE(sm90a().features.wgmma && !sm80().features.wgmma);
}
