// The model's tokens: from text to id and back. One buffer holds all texts, a
// hash table with open addressing finds them, so that a vocabulary of a quarter
// million tokens loads in milliseconds.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_TOKENIZER_VOCABULARY_H
#define QOPT_RUNTIME_TOKENIZER_VOCABULARY_H

#include "runtime/Tokenizer/TokenizerFile.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qopt::runtime {

class Vocabulary {
public:
  Vocabulary() = default;
  /// Of two entries with one text the later counts, as in a JSON object.
  explicit Vocabulary(const std::vector<VocabularyEntry> &entries);

  std::optional<std::uint32_t> find(std::string_view token) const;
  std::optional<std::string_view> token(std::uint32_t id) const;

  /// Number of different texts.
  std::size_t size() const { return tokens.size(); }
  /// One above the highest id.
  std::uint32_t idEnd() const {
    return static_cast<std::uint32_t>(byId.size());
  }
  /// Length in bytes of the longest text.
  std::size_t longest() const { return maximum; }

private:
  struct Token {
    std::uint32_t offset, length, id;
  };
  std::string_view textOf(const Token &token) const {
    return std::string_view(texts).substr(token.offset, token.length);
  }
  /// A place of the hash table; the hash spares most comparisons of texts.
  struct Slot {
    std::uint32_t hash, index; ///< index into tokens + 1, 0: free
  };
  /// The slot that holds `token`, or the free one where it belongs.
  std::size_t slotOf(std::string_view token, std::uint32_t hash) const;

  std::string texts;
  std::vector<Token> tokens;
  std::vector<Slot> slots;         ///< a power of two
  std::vector<std::uint32_t> byId; ///< index into tokens + 1
  std::size_t maximum = 0;
};

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_TOKENIZER_VOCABULARY_H
