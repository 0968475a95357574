// Regular expressions of a tokenizer.json. They are written for Oniguruma (its
// own syntax, Unicode); PCRE2 executes them here after a translation of what
// the two read differently. Every match runs under a limit of work: a pattern
// that backtracks without end gives an error, not a hang.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_TOKENIZER_REGEX_H
#define QOPT_RUNTIME_TOKENIZER_REGEX_H

#include "qopt/Status.h"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace qopt::runtime {

/// Where a pattern occurs, in bytes.
struct Match {
  std::size_t begin, end;
};

/// Bytes of a text of `size` whose `matches` were replaced by `content` bytes
/// each.
inline std::size_t replacedSize(std::size_t size,
                                const std::vector<Match> &matches,
                                std::size_t content) {
  for (Match match : matches)
    size -= match.end - match.begin;
  return size + matches.size() * content;
}

/// The expression as messages have it: its first hundred bytes.
std::string titleOfRegex(std::string_view expression);

/// `pattern` in Oniguruma's syntax → the same in PCRE2's (with UTF, UCP and
/// MULTILINE). `Unsupported` for a construct that has no equal there.
StatusOr<std::string> translateRegex(std::string_view pattern);

/// A literal text or a regular expression, searched for in valid UTF-8.
/// Immutable: threads may share it.
class Pattern {
public:
  static StatusOr<Pattern> literal(std::string_view text);
  static StatusOr<Pattern> regex(std::string_view expression);

  /// Replaces `matches` by all matches in `text`, left to right, not
  /// overlapping. An empty match directly behind another match is left out.
  Status findAll(std::string_view text, std::vector<Match> &matches) const;

private:
  struct Code;
  Status findRegex(std::string_view text, std::vector<Match> &matches) const;

  std::string
      source; ///< the literal text, or the expression as the file spells it
  std::shared_ptr<const Code> code; ///< null for a literal
};

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_TOKENIZER_REGEX_H
