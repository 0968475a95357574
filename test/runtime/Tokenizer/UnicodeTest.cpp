// Normal forms, case and classes of characters, at the places where libraries
// go wrong.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/Tokenizer/Unicode.h"

#include <chrono>
#include <gtest/gtest.h>

using namespace qopt::runtime;

TEST(Unicode, NormalFormsOfOneText) {
  std::string text = "\u00E9\uFB01\u1E9B\u0323";
  EXPECT_EQ(normalize(text, NormalForm::Composed), text);
  EXPECT_EQ(normalize(text, NormalForm::Decomposed),
            "e\u0301\uFB01\u017F\u0323\u0307");
  EXPECT_EQ(normalize(text, NormalForm::CompatComposed), "\u00E9fi\u1E69");
  EXPECT_EQ(normalize(text, NormalForm::CompatDecomposed),
            "e\u0301fis\u0323\u0307");
}

TEST(Unicode, HangulComposesAndKeepsTheFillerBesideIt) {
  EXPECT_EQ(normalize("\u1112\u1161\u11AB", NormalForm::Composed), "\uD55C");
  EXPECT_EQ(normalize("\uAC00\u11A7", NormalForm::Composed), "\uAC00\u11A7");
}

TEST(Unicode, OrderingALongRunOfMarksIsFast) {
  std::string text = "x";
  for (int i = 0; i < 200'000; ++i)
    text += "\u0301\u0323";
  auto begin = std::chrono::steady_clock::now();
  std::string ordered = normalize(text, NormalForm::Decomposed);
  auto seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin);
  EXPECT_TRUE(ordered.starts_with("x\u0323\u0323"));
  EXPECT_TRUE(ordered.ends_with("\u0301\u0301"));
  EXPECT_LT(seconds.count(), 10);
}

TEST(Unicode, LowerCaseMayBeLonger) {
  std::string text;
  for (char32_t character : {U'A', U'\u0130', U'\u03A3', U'\u1E9E'})
    appendLowercase(text, character);
  EXPECT_EQ(text, "ai\u0307\u03C3\u00DF");
}

TEST(Unicode, Classes) {
  EXPECT_TRUE(isWhitespace(U'\u3000'));
  EXPECT_FALSE(isWhitespace(U'\u200B'));
  EXPECT_TRUE(isPunctuation(U'$'));
  EXPECT_TRUE(isPunctuation(U'\u2014'));
  EXPECT_FALSE(isPunctuation(U'\u20AC'));
  EXPECT_TRUE(isControl(U'\u200D'));
  EXPECT_FALSE(isControl(U'\n'));
  EXPECT_TRUE(isNumeric(U'\u00BD'));
  EXPECT_TRUE(isWordCharacter(U'_'));
  EXPECT_TRUE(isCombiningMark(U'\u0903'));
  EXPECT_FALSE(isNonspacingMark(U'\u0903'));
}

TEST(Unicode, GraphemeClusters) {
  EXPECT_EQ(graphemeLength("\r\nx"), 2u);
  EXPECT_EQ(graphemeLength("e\u0301x"), 3u);
  EXPECT_EQ(graphemeLength("ab"), 1u);
}
