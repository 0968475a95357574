// Text to token ids and back, after a Hugging Face tokenizer.json. The same ids
// as the `tokenizers` library gives, for the parts that it names; a part that
// is not known here is an error when the file is read.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOKENIZER_H
#define QOPT_TOKENIZER_H

#include "qopt/Export.h"
#include "qopt/Status.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qopt {

/// Whether encoding puts the model's own tokens around a text (<s>, [CLS] …),
/// and whether decoding writes special tokens out.
enum class SpecialTokens { Include, Exclude };

/// A token beside those of the model: <s>, <|im_end|>, [MASK].
struct AddedToken {
  std::int32_t id;
  std::string content;
  bool special; ///< SpecialTokens::Exclude leaves it out of decoded text
};

/// Immutable; copies share one vocabulary, and threads may use one at the same
/// time.
class QOPT_API Tokenizer {
public:
  /// `json`: the bytes of a tokenizer.json. `BadModel` where they are damaged,
  /// `Unsupported` where they name a part that is not known.
  static StatusOr<Tokenizer> create(std::string_view json);

  /// The ids of `text`, cut and padded as the file's "truncation" and "padding"
  /// say: what a model of a fixed or longest length reads. Bytes that are not
  /// valid UTF-8 count as U+FFFD, replaced as Python's errors="replace" does.
  /// `Unsupported` where truncation has no answer for one text.
  StatusOr<std::vector<std::int32_t>>
  encode(std::string_view text,
         SpecialTokens special = SpecialTokens::Include) const;

  /// The ids of all of `text` and no others: what a model reads that continues
  /// the text. Cut, a prompt would lose its words without a sign, where one too
  /// long for the model is an error; padded, the model would continue the
  /// padding.
  StatusOr<std::vector<std::int32_t>>
  encodeWhole(std::string_view text,
              SpecialTokens special = SpecialTokens::Include) const;

  /// Valid UTF-8. Ids that the vocabulary lacks are left out.
  std::string decode(std::span<const std::int32_t> ids,
                     SpecialTokens special = SpecialTokens::Exclude) const;

  /// Number of different tokens, the added ones included.
  std::size_t vocabularySize() const;
  /// One above the highest id: the rows that an embedding table must have.
  std::int32_t idEnd() const;
  /// Ok where every id has a row in a model of `rows` vocabulary entries; the
  /// message names a token that has none.
  Status checkVocabulary(std::size_t rows) const;

  std::optional<std::int32_t> tokenToId(std::string_view token) const;
  /// As the vocabulary spells it: "Ġthe", "▁the", "<0x0A>".
  std::optional<std::string> idToToken(std::int32_t id) const;
  std::vector<AddedToken> addedTokens() const;
  bool isSpecial(std::int32_t id) const;

private:
  friend class TokenStream;
  struct State;
  explicit Tokenizer(std::shared_ptr<const State> state);
  std::shared_ptr<const State> state;
};

/// Decodes token by token. What the calls return, put together, is what decode
/// returns for the whole; no call returns a part of a character. A piece that
/// later tokens may still change is held back.
class QOPT_API TokenStream {
public:
  explicit TokenStream(const Tokenizer &tokenizer,
                       SpecialTokens special = SpecialTokens::Exclude);
  TokenStream(TokenStream &&) noexcept;
  TokenStream &operator=(TokenStream &&) noexcept;
  ~TokenStream();

  /// The text that became certain with this token.
  std::string push(std::int32_t id);
  /// The rest. After it the stream is at its beginning again.
  std::string finish();

private:
  struct State;
  std::unique_ptr<State> state;
};

} // namespace qopt

#endif // QOPT_TOKENIZER_H
