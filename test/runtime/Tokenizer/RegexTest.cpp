// Oniguruma's expressions mean the same here, and none of them runs for ever.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/Tokenizer/Regex.h"

#include <gtest/gtest.h>

using namespace qopt;
using namespace qopt::runtime;

/// The matches in `text`, joined with |.
static std::string matches(std::string_view expression, std::string_view text) {
  StatusOr<Pattern> pattern = Pattern::regex(expression);
  if (!pattern)
    return pattern.status().message();
  std::vector<Match> found;
  Status status = pattern->findAll(text, found);
  if (!status)
    return status.message();
  std::string joined;
  for (Match match : found)
    joined += (joined.empty() ? "" : "|") +
              std::string(text.substr(match.begin, match.end - match.begin));
  return joined;
}

TEST(Regex, ClassesOfCharacters) {
  EXPECT_EQ(matches(R"(\s)", " \u00A0\u180E\u200B\u3000"), " |\u00A0|\u3000");
  EXPECT_EQ(matches(R"(\w+)", "e\u0301_1\u00BD-x"), "e\u0301_1\u00BD|x");
  EXPECT_EQ(matches(R"(\h+)", "xFa9 g"), "Fa9");
  EXPECT_EQ(matches(R"(\d)", "1\u0663\u00B2"), "1|\u0663");
  EXPECT_EQ(matches(R"([\S])", " a"), "a");
  EXPECT_EQ(matches(R"([^\W\d]+)", "ab1-c"), "ab|c");
}

TEST(Regex, NestedClassesAndIntersections) {
  EXPECT_EQ(matches(R"([a-z&&[^b-d]]+)", "abcde"), "a|e");
  EXPECT_EQ(matches(R"([a-c[x]]+)", "abxd"), "abx");
  EXPECT_EQ(matches(R"( ?[^(\s|[.,])]+)", "ab (c) .d"), "ab|c|d");
  EXPECT_EQ(matches(R"([^a-z&&[^x]]+)", "axA"), "xA");
  EXPECT_EQ(matches(R"([]-]+)", "a]-"), "]-");
  EXPECT_EQ(matches(R"([[:alpha:]]+)", "ab1"), "ab");
}

TEST(Regex, ScriptsAreWithoutTheirExtensions) {
  EXPECT_EQ(matches(R"(\p{Han}+)", "\u6F22\u3011\u5B57"), "\u6F22|\u5B57");
}

TEST(Regex, Intervals) {
  EXPECT_EQ(matches(R"(\d{1,3}+)", "1234567"), "1234567");
  EXPECT_EQ(matches(R"(\d{1,3})", "12345"), "123|45");
  EXPECT_EQ(matches(R"(a{,2})", "aaa"), "aa|a");
  EXPECT_EQ(matches(R"(x{)", "x{"), "x{");
}

TEST(Regex, GroupsAndCase) {
  EXPECT_EQ(matches(R"((?i:'s|'t))", "'S't'\u017F"), "'S|'t|'\u017F");
  EXPECT_EQ(matches(R"((?m:a.))", "a\n"), "a\n");
  EXPECT_EQ(matches(R"(^b|a$)", "a\nb"), "a|b");
  EXPECT_EQ(matches(R"(\s+(?!\S)|\s+)", "a   b "), "  | | ");
}

TEST(Regex, EmptyMatchesDoNotFollowAnother) {
  EXPECT_EQ(matches("x*", "axxb"), "xx|");
}

TEST(Regex, WhatHasNoEqualIsAnError) {
  EXPECT_EQ(matches(R"((?~ab))", "x"),
            "regular expression \"(?~ab)\": group \"(?~\" is not supported");
  EXPECT_EQ(matches(R"(a\y)", "x"), "regular expression \"a\\y\": escape "
                                    "\"\\y\" is not supported");
  EXPECT_EQ(matches("[a", "x"), "regular expression \"[a\": class without ]");
  EXPECT_NE(matches("a)", "x").find("regular expression \"a)\""),
            std::string::npos);
}

TEST(Regex, AnErrorSaysWhoseItIs) {
  for (const char *none : {"(", "[a", "a)", "*", "(?#", "\\p{L", "\\x", "a\\"})
    EXPECT_EQ(Pattern::regex(none).status().code(), StatusCode::BadModel)
        << none;
  for (const char *other : {"(?~a)", "a\\y", "[[:none:]]", "(?<=a+)b"})
    EXPECT_EQ(Pattern::regex(other).status().code(), StatusCode::Unsupported)
        << other;
}

TEST(Regex, BacktrackingWithoutEndIsAnError) {
  std::string text(60, 'a');
  EXPECT_NE(matches(R"((?:a|a)*[bd])", text + "c").find("limit"),
            std::string::npos);
}

TEST(Regex, LongTextsNeedNoStack) {
  std::string text(1'000'000, 'a');
  EXPECT_EQ(matches(R"((?:a|b)+)", text).size(), text.size());
}

TEST(Regex, AMessageShowsTheBeginningOfALongExpression) {
  EXPECT_EQ(matches("\\y" + std::string(97, 'a') + "\u00E9" + "b", "x"),
            "regular expression \"\\y" + std::string(97, 'a') +
                "…\": escape \"\\y\" is not supported");
}
