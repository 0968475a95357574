// The tokens that a model is calibrated or judged on, cut into windows of one
// length: the model reads each by itself, from its beginning.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_TOKENS_TOKENWINDOWS_H
#define QOPT_LIB_TOKENS_TOKENWINDOWS_H

#include "qopt/Status.h"

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace qopt {

/// The windows of one text.
struct TextDomain {
  std::string name;
  int64_t first, count;
};

class TokenWindows {
public:
  /// Those of no text.
  TokenWindows() = default;
  /// `tokens` are whole windows.
  TokenWindows(std::vector<int32_t> tokens, int64_t length)
      : tokens(std::move(tokens)), windowLength(length) {}
  /// Windows of `length` tokens that follow each other, the rest left out; one
  /// shorter window where there are fewer tokens than that. InvalidArgument,
  /// naming `path`, where they come from, for less than two tokens.
  static StatusOr<TokenWindows> cut(std::vector<int32_t> tokens, int64_t length,
                                    const std::string &path);

  int64_t count() const {
    return windowLength ? int64_t(tokens.size()) / windowLength : 0;
  }
  int64_t length() const { return windowLength; }
  std::span<const int32_t> operator[](int64_t window) const {
    return std::span(tokens).subspan(size_t(window * windowLength),
                                     size_t(windowLength));
  }
  /// What was added, in this order.
  const std::vector<TextDomain> &domains() const { return parts; }
  /// Puts the first `most` windows of `more` behind these, as a domain;
  /// InvalidArgument where their length is another.
  Status add(const std::string &name, const TokenWindows &more, int64_t most);
  /// InvalidArgument names the first token that is not below `vocabulary`.
  Status check(int64_t vocabulary) const;

  /// At most so many of them, evenly spread; of no domain.
  TokenWindows spread(int64_t most) const;
  /// Those that `isWanted`, each by its first `most` tokens; of no domain.
  TokenWindows select(const std::function<bool(int64_t window)> &isWanted,
                      int64_t most) const;

private:
  std::vector<int32_t> tokens;
  int64_t windowLength = 0;
  std::vector<TextDomain> parts;
};

} // namespace qopt

#endif // QOPT_LIB_TOKENS_TOKENWINDOWS_H
