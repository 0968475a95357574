// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Tokens/TokenWindows.h"

#include <algorithm>

namespace qopt {

StatusOr<TokenWindows> TokenWindows::cut(std::vector<int32_t> tokens,
                                         int64_t length,
                                         const std::string &path) {
  if (tokens.size() < 2)
    return Status(StatusCode::InvalidArgument,
                  "'" + path + "' has " +
                      (tokens.empty() ? "no token" : "one token") +
                      " to evaluate; expected two or more");
  length = std::min(length, int64_t(tokens.size()));
  tokens.resize(tokens.size() / size_t(length) * size_t(length));
  return TokenWindows(std::move(tokens), length);
}

Status TokenWindows::add(const std::string &name, const TokenWindows &more,
                         int64_t most) {
  if (parts.empty())
    windowLength = more.length();
  if (more.length() != length())
    return {StatusCode::InvalidArgument,
            "\"" + name + "\" has windows of " + std::to_string(more.length()) +
                " tokens, \"" + parts.back().name + "\" of " +
                std::to_string(length()) +
                "; expected texts with windows of one length (--window)"};
  int64_t kept = std::min(most, more.count());
  parts.push_back({name, count(), kept});
  tokens.insert(tokens.end(), more.tokens.begin(),
                more.tokens.begin() + kept * length());
  return {};
}

TokenWindows TokenWindows::spread(int64_t most) const {
  int64_t taken = std::min(count(), most);
  TokenWindows result({}, windowLength);
  for (int64_t i = 0; i < taken; ++i) {
    std::span<const int32_t> window = (*this)[i * count() / taken];
    result.tokens.insert(result.tokens.end(), window.begin(), window.end());
  }
  return result;
}

TokenWindows TokenWindows::select(const std::function<bool(int64_t)> &isWanted,
                                  int64_t most) const {
  TokenWindows result({}, std::min(windowLength, most));
  for (int64_t i = 0; i < count(); ++i)
    if (isWanted(i)) {
      auto window = (*this)[i].first(size_t(result.windowLength));
      result.tokens.insert(result.tokens.end(), window.begin(), window.end());
    }
  return result;
}

Status TokenWindows::check(int64_t vocabulary) const {
  for (size_t i = 0; i < tokens.size(); ++i)
    if (tokens[i] < 0 || tokens[i] >= vocabulary)
      return {StatusCode::InvalidArgument,
              "token " + std::to_string(tokens[i]) + " at " +
                  std::to_string(int64_t(i) % windowLength) + " of window " +
                  std::to_string(int64_t(i) / windowLength) +
                  " is outside the vocabulary of " +
                  std::to_string(vocabulary)};
  return {};
}

} // namespace qopt
