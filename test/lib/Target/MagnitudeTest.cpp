// Figures of reports have three digits that count, and a unit that keeps them
// short.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Target/Magnitude.h"

#include <gtest/gtest.h>

using namespace qopt::target;

TEST(Magnitude, NumbersHaveThreeDigits) {
  EXPECT_EQ(spellNumber(0), "0");
  EXPECT_EQ(spellNumber(0.03125), "0.0312");
  EXPECT_EQ(spellNumber(3.125), "3.12");
  EXPECT_EQ(spellNumber(9.996), "10.0");
  EXPECT_EQ(spellNumber(28.42), "28.4");
  EXPECT_EQ(spellNumber(1550), "1550");
  EXPECT_EQ(spellNumber(-5.505859), "-5.51");
}

TEST(Magnitude, QuantitiesChooseTheirUnit) {
  EXPECT_EQ(spellQuantity(0, "B"), "0 B");
  EXPECT_EQ(spellQuantity(772, "B"), "772 B");
  EXPECT_EQ(spellQuantity(999.6, "B"), "1.00 kB");
  EXPECT_EQ(spellQuantity(12976128, "B"), "13.0 MB");
  EXPECT_EQ(spellQuantity(4280951000, "B"), "4.28 GB");
  EXPECT_EQ(spellQuantity(402653184, "flop"), "403 Mflop");
}

TEST(Magnitude, TimesAreInMicrosecondsOrMilliseconds) {
  EXPECT_EQ(spellTime(0.18e-6), "0.180 us");
  EXPECT_EQ(spellTime(15.25e-6), "15.2 us");
  EXPECT_EQ(spellTime(999.4e-6), "999 us");
  EXPECT_EQ(spellTime(1.4914e-3), "1.49 ms");
}
