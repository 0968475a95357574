// A budget that does not fit says what takes how much, the largest first, and
// what makes it fewer.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/MemoryBudget.h"

#include <gtest/gtest.h>

using namespace qopt;
using namespace qopt::runtime;

namespace {

const std::vector<MemoryPart> parts = {
    {2000000000, "weights", "fewer bits"},
    {3100000000, "KV cache", "fewer positions"},
    {0, "nothing", "no remedy of it"},
    {512, "steps", ""}};

TEST(MemoryBudgetTest, WhatFitsIsRight) {
  EXPECT_TRUE(checkBudget("the GPU", 5100000512, parts).ok());
  EXPECT_TRUE(checkBudget("the GPU", 0, {}).ok());
}

TEST(MemoryBudgetTest, NamesWhatDoesNotFit) {
  Status status = checkBudget("the GPU", 5100000511, parts);
  EXPECT_EQ(status.code(), StatusCode::OutOfResources);
  EXPECT_EQ(status.message(),
            "the GPU has 5.10 GB free and 5.10 GB are needed: KV cache 3.10 "
            "GB, weights 2.00 GB, steps 512 bytes; use fewer positions, or "
            "fewer bits");
}

TEST(MemoryBudgetTest, SpellsBytes) {
  EXPECT_EQ(spellBytes(0), "0 bytes");
  EXPECT_EQ(spellBytes(999), "999 bytes");
  EXPECT_EQ(spellBytes(1000), "1.00 kB");
  EXPECT_EQ(spellBytes(2345678), "2.35 MB");
}

} // namespace
