// Invalid bytes become U+FFFD exactly as in Python's errors="replace": one for
// each maximal part that could have begun a character.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/Tokenizer/Utf8.h"

#include <gtest/gtest.h>

using namespace qopt::runtime;

static std::string bad(int count) {
  std::string text;
  for (; count > 0; --count)
    text += "\xEF\xBF\xBD";
  return text;
}

TEST(Utf8, ValidTextStays) {
  std::string text = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80";
  text += '\0';
  EXPECT_EQ(toValidUtf8(text), text);
  EXPECT_EQ(countCharacters(text), 5u);
}

TEST(Utf8, EachPartThatCannotGoOnIsReplaced) {
  EXPECT_EQ(toValidUtf8("\xFF"), bad(1));
  EXPECT_EQ(toValidUtf8("a\xC3 b"), "a" + bad(1) + " b");
  EXPECT_EQ(toValidUtf8("\xE2\x82\xE2\x82\xAC"), bad(1) + "\xE2\x82\xAC");
  EXPECT_EQ(toValidUtf8("\xF0\x9F\x98"), bad(1));
  EXPECT_EQ(toValidUtf8("\x80\x81"), bad(2));
}

TEST(Utf8, OverlongFormsSurrogatesAndTooLargeOnesAreInvalid) {
  EXPECT_EQ(toValidUtf8("\xC0\xAF"), bad(2));
  EXPECT_EQ(toValidUtf8("\xE0\x80\x80"), bad(3));
  EXPECT_EQ(toValidUtf8("\xED\xA0\x80"), bad(3));
  EXPECT_EQ(toValidUtf8("\xF4\x90\x80\x80"), bad(4));
}

TEST(Utf8, AnIncompleteEndIsLeftToTheCaller) {
  std::string text;
  EXPECT_EQ(appendValidUtf8(text, "a\xF0\x9F\x98"), 3u);
  EXPECT_EQ(text, "a");
}

TEST(Utf8, WritingIsTheInverseOfReading) {
  for (char32_t character : {U'a', U'\u007F', U'\u0080', U'\u07FF', U'\u0800',
                             U'\uFFFF', U'\U00010000', U'\U0010FFFF'}) {
    std::string text;
    appendUtf8(text, character);
    std::size_t length;
    EXPECT_EQ(firstCharacter(text, length), character);
    EXPECT_EQ(length, text.size());
  }
}
