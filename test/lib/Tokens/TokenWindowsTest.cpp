// Windows hold the tokens that they were cut from, in their order; choosing
// among them changes none.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Tokens/TokenWindows.h"

#include <gtest/gtest.h>
#include <numeric>

namespace qopt {
namespace {

std::vector<int32_t> counted(size_t count) {
  std::vector<int32_t> tokens(count);
  std::iota(tokens.begin(), tokens.end(), 0);
  return tokens;
}

std::vector<int32_t> firstTokens(const TokenWindows &windows) {
  std::vector<int32_t> first;
  for (int64_t i = 0; i < windows.count(); ++i)
    first.push_back(windows[i][0]);
  return first;
}

TEST(TokenWindows, FollowEachOther) {
  auto windows = TokenWindows::cut(counted(11), 3, "a.txt");
  ASSERT_TRUE(windows.ok());
  EXPECT_EQ(windows->length(), 3);
  EXPECT_EQ(firstTokens(*windows), (std::vector<int32_t>{0, 3, 6}));
}

TEST(TokenWindows, OneShorterWhereThereIsNotEnough) {
  auto windows = TokenWindows::cut(counted(2), 3, "a.txt");
  ASSERT_TRUE(windows.ok());
  EXPECT_EQ(windows->count(), 1);
  EXPECT_EQ(windows->length(), 2);
}

TEST(TokenWindows, OneTokenPredictsNothing) {
  auto windows = TokenWindows::cut({7}, 3, "a.txt");
  EXPECT_EQ(windows.status().code(), StatusCode::InvalidArgument);
  EXPECT_NE(windows.status().message().find("'a.txt' has one token"),
            std::string::npos);
}

TEST(TokenWindows, SpreadIsEven) {
  TokenWindows windows(counted(20), 2);
  EXPECT_EQ(firstTokens(windows.spread(4)),
            (std::vector<int32_t>{0, 4, 10, 14}));
  EXPECT_EQ(windows.spread(100).count(), 10);
}

TEST(TokenWindows, SelectKeepsTheFirstTokens) {
  TokenWindows windows(counted(20), 4);
  TokenWindows odd = windows.select([](int64_t i) { return i % 2 == 1; }, 3);
  EXPECT_EQ(odd.length(), 3);
  EXPECT_EQ(firstTokens(odd), (std::vector<int32_t>{4, 12}));
  EXPECT_EQ(odd[1][2], 14);
  EXPECT_EQ(windows.select([](int64_t) { return true; }, 9).length(), 4);
}

TEST(TokenWindows, DomainsHaveOneLength) {
  TokenWindows all;
  EXPECT_TRUE(all.add("a", TokenWindows(counted(6), 2), 2).ok());
  EXPECT_TRUE(all.add("b", TokenWindows(counted(6), 2), 9).ok());
  EXPECT_FALSE(all.add("c", TokenWindows(counted(6), 3), 9).ok());
  ASSERT_EQ(all.domains().size(), 2u);
  EXPECT_EQ(all.domains()[1].first, 2);
  EXPECT_EQ(all.domains()[1].count, 3);
}

TEST(TokenWindows, TokensAreOfTheVocabulary) {
  TokenWindows windows(counted(6), 2);
  EXPECT_TRUE(windows.check(6).ok());
  EXPECT_NE(windows.check(5).message().find("token 5 at 1 of window 2"),
            std::string::npos);
}

} // namespace
} // namespace qopt
