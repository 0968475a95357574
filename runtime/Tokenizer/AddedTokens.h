// Tokens beside the model's own: <s>, <|im_end|>, [MASK]. They are cut out of
// the text before anything else looks at it (those marked "normalized" after
// normalization) and are never split.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_TOKENIZER_ADDEDTOKENS_H
#define QOPT_RUNTIME_TOKENIZER_ADDEDTOKENS_H

#include "runtime/Tokenizer/Normalizer.h"
#include "runtime/Tokenizer/Trie.h"
#include "runtime/Tokenizer/Vocabulary.h"

#include <optional>
#include <unordered_map>
#include <unordered_set>

namespace qopt::runtime {

/// A part of a text: an added token, or what lies between.
struct Segment {
  std::size_t begin, end;
  std::int32_t id; ///< -1: no added token
};

class AddedTokens {
public:
  struct Token {
    std::string content;  ///< as the file spells it
    std::string spelling; ///< what it is matched with and decoded to
    std::int32_t id = 0;
    bool special = false, normalized = false;
    bool singleWord = false, stripLeft = false, stripRight = false;
  };

  /// From the file's "added_tokens"; `normalizer` may be null. A token that the
  /// vocabulary has keeps its id there, others follow behind the vocabulary in
  /// the order of the file.
  static StatusOr<AddedTokens> read(const Part &file,
                                    const Vocabulary &vocabulary,
                                    const Normalizer *normalizer);

  enum class Stage { BeforeNormalization, AfterNormalization };
  /// Covers `text` with segments, none of them empty.
  std::vector<Segment> cut(std::string_view text, Stage stage) const;

  const std::vector<Token> &all() const { return tokens; }
  std::optional<std::int32_t> find(std::string_view content) const;
  /// Null where `id` is no added token.
  const Token *token(std::int32_t id) const;
  /// Is a decoded token one of the special ones, which decoding may leave out?
  bool isSpecial(std::string_view spelling) const {
    return specials.contains(std::string(spelling));
  }

private:
  Status add(const nlohmann::json &spec, const Vocabulary &vocabulary,
             const Normalizer *normalizer);
  void buildTries();

  std::vector<Token> tokens;
  std::int32_t end = 0; ///< one above the highest id
  std::unordered_map<std::string, std::size_t> byContent;
  std::unordered_map<std::int32_t, std::size_t> byId;
  std::unordered_set<std::string> specials;
  Trie plain, normalized; ///< values: indices into tokens
};

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_TOKENIZER_ADDEDTOKENS_H
