// Formats of caches with words behind them: one spelling, and messages for
// everything else.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/CacheFormat.h"
#include <gtest/gtest.h>

using namespace qopt;
using namespace qopt::quant;

static std::string messageFor(std::string_view text) {
  StatusOr<CacheFormat> format = parseCacheFormat(text);
  return format.ok() ? "parsed" : format.status().message();
}

TEST(CacheFormat, spellingsComeBack) {
  for (const char *text :
       {"int8", "f16,recent=32", "int3_asym_g32_zf,recent=64,first=16",
        "int8,recent=0", "int4,first=0", "int4_g32,before_rotary",
        "int2_asym_g32_zf,recent=32,first=16,before_rotary"}) {
    StatusOr<CacheFormat> format = parseCacheFormat(text);
    ASSERT_TRUE(format.ok()) << format.status().message();
    EXPECT_EQ(spell(*format), text);
  }
}

TEST(CacheFormat, wordsComeInAnyOrder) {
  CacheFormat format =
      *parseCacheFormat("int4_g32,before_rotary,first=16,recent=32");
  EXPECT_EQ(format.format, groupFormat(ElementType::Int4, 32));
  EXPECT_EQ(format.recent, 32);
  EXPECT_EQ(format.first, 16);
  EXPECT_TRUE(format.beforeRotary);
  EXPECT_EQ(parseCacheFormat("int8")->recent, std::nullopt);
}

TEST(CacheFormat, otherWordsAreRefused) {
  const char *refused = "is no word behind a format of a cache; expected "
                        "recent=N, first=N or before_rotary, each once";
  for (auto [text, word] :
       {std::pair("int8,recent=32,last=3", "last=3"),
        {"int8,recent=32,recent=64", "recent=64"},
        {"int8,recent=-32", "recent=-32"},
        {"int8,recent=", "recent="},
        {"int8,recent=32x", "recent=32x"},
        {"int8,recent=99999999999999999999", "recent=99999999999999999999"},
        {"int8,before_rotary,before_rotary", "before_rotary"},
        {"int8,before_rotaryx", "before_rotaryx"},
        {"int8,recent=32,", ""}})
    EXPECT_EQ(messageFor(text),
              "\"" + std::string(word) + "\" of \"" + text + "\" " + refused);
  EXPECT_NE(messageFor("int7,recent=32").find("unknown element type"),
            std::string::npos);
}

TEST(CacheFormat, whereWordsBegin) {
  EXPECT_EQ(cacheWordsOf("cache.0.key=int8,recent=32"), 16u);
  EXPECT_EQ(cacheWordsOf("re:a{1,3}=int8,before_rotary"), 14u);
  EXPECT_EQ(cacheWordsOf("re:a{1,3}=int8"), 14u);
  EXPECT_EQ(cacheWordsOf(""), 0u);
}

TEST(CacheFormat, wordsBelongToTheEntryAhead) {
  EXPECT_EQ(joinCacheWords({"int8", "recent=32", "first=16", "f16",
                            "int4,recent=64", "first=32"}),
            (std::vector<std::string>{"int8,recent=32,first=16", "f16",
                                      "int4,recent=64,first=32"}));
  EXPECT_EQ(joinCacheWords({"recent=32", "int8"}),
            (std::vector<std::string>{"recent=32", "int8"}));
}
