// The tokens that a model is judged on, cut into windows of one length: each is
// evaluated by itself, with an empty cache before it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTEVAL_TOKENWINDOWS_H
#define QOPT_TOOLS_QOPTEVAL_TOKENWINDOWS_H

#include "qopt/Status.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace qopt::eval {

/// The windows of one text.
struct Domain {
  std::string name;
  int64_t first, count;
};

class TokenWindows {
public:
  /// Windows of `length` tokens, the rest left out; one shorter window where
  /// there are fewer tokens than that. `path` is where they come from.
  static StatusOr<TokenWindows> cut(std::vector<int32_t> tokens, int64_t length,
                                    const std::string &path);
  /// A .npy file of integers: [windows, length], or [tokens] to be cut into
  /// windows of `asked`, else `length`. InvalidArgument where `asked` is not
  /// the length of the file's windows.
  static StatusOr<TokenWindows> read(const std::string &path, int64_t length,
                                     std::optional<int64_t> asked);

  int64_t count() const {
    return windowLength ? int64_t(tokens.size()) / windowLength : 0;
  }
  int64_t length() const { return windowLength; }
  std::span<const int32_t> operator[](int64_t window) const {
    return std::span(tokens).subspan(size_t(window * windowLength),
                                     size_t(windowLength));
  }
  /// What was added, in this order.
  const std::vector<Domain> &domains() const { return parts; }
  /// Puts the first `most` windows of `more` behind these, as a domain;
  /// InvalidArgument where their length is another.
  Status add(const std::string &name, const TokenWindows &more, int64_t most);
  /// InvalidArgument names the first token that is not below `vocabulary`.
  Status check(int64_t vocabulary) const;

  /// Those of no text.
  TokenWindows() = default;

private:
  TokenWindows(std::vector<int32_t> tokens, int64_t length)
      : tokens(std::move(tokens)), windowLength(length) {}
  std::vector<int32_t> tokens;
  int64_t windowLength = 0;
  std::vector<Domain> parts;
};

} // namespace qopt::eval

#endif // QOPT_TOOLS_QOPTEVAL_TOKENWINDOWS_H
