// The third stage: a piece → token ids. One class for each kind of model; what
// a tokenizer.json lists under "model".
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_TOKENIZER_MODEL_H
#define QOPT_RUNTIME_TOKENIZER_MODEL_H

#include "runtime/Tokenizer/TokenizerFile.h"
#include "runtime/Tokenizer/Vocabulary.h"

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace qopt::runtime {

class Model {
public:
  explicit Model(Vocabulary vocabulary) : words(std::move(vocabulary)) {}
  virtual ~Model() = default;

  /// Appends the ids of `piece`, which is not empty. Threads may call it at
  /// once.
  virtual Status encode(std::string_view piece,
                        std::vector<std::int32_t> &ids) const = 0;

  const Vocabulary &vocabulary() const { return words; }

protected:
  Vocabulary words;
};

/// From the file's "model"; `file` gives up its vocabulary and merges.
StatusOr<std::unique_ptr<Model>> makeModel(TokenizerFile &file);

// The kinds, for the table in Model.cpp.
StatusOr<std::unique_ptr<Model>> makeBpe(const Part &part, TokenizerFile &file);
StatusOr<std::unique_ptr<Model>> makeUnigram(const Part &part,
                                             TokenizerFile &file);
StatusOr<std::unique_ptr<Model>> makeWordPiece(const Part &part,
                                               TokenizerFile &file);
StatusOr<std::unique_ptr<Model>> makeWordLevel(const Part &part,
                                               TokenizerFile &file);

/// The tokens <0x00> … <0xFF> of a vocabulary with byte fallback.
class ByteTokens {
public:
  static constexpr std::int32_t none = -1;

  ByteTokens() { ids.fill(none); }
  explicit ByteTokens(const Vocabulary &vocabulary);

  /// Appends one id for each byte; nothing and false where one of them has no
  /// token.
  bool append(std::string_view bytes, std::vector<std::int32_t> &to) const;

private:
  std::array<std::int32_t, 256> ids;
};

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_TOKENIZER_MODEL_H
