// WordPiece (Schuster and Nakajima 2012, as BERT uses it): the longest token
// that the rest of the word begins with, again and again; a word that does not
// work out is one unknown token. And WordLevel: a word is a token or unknown.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/Tokenizer/Model.h"
#include "runtime/Tokenizer/Utf8.h"

#include <algorithm>

namespace qopt::runtime {

namespace {

/// Both kinds have an unknown token, which the vocabulary may lack as long as
/// nobody needs it.
class WordModel : public Model {
public:
  explicit WordModel(Vocabulary vocabulary) : Model(std::move(vocabulary)) {}

  Status read(const Part &part) {
    QOPT_RETURN_IF_ERROR(part.readOptional("unk_token", unknown));
    QOPT_RETURN_IF_ERROR(part.readAffix("continuing_subword_prefix", prefix));
    return part.readOptional("max_input_chars_per_word", longestWord);
  }

protected:
  Status appendUnknown(std::vector<std::int32_t> &ids) const {
    auto id = words.find(unknown);
    if (!id)
      return Status(StatusCode::BadModel, "tokenizer: the unknown token \"" +
                                              unknown +
                                              "\" is not in the vocabulary");
    ids.push_back(static_cast<std::int32_t>(*id));
    return {};
  }

  std::string unknown = "[UNK]";
  std::string prefix = "##";
  std::uint32_t longestWord = 100; ///< in characters
};

class WordPiece : public WordModel {
public:
  using WordModel::WordModel;

  Status encode(std::string_view piece,
                std::vector<std::int32_t> &ids) const override {
    if (countCharacters(piece) > longestWord)
      return appendUnknown(ids);
    std::size_t from = ids.size();
    std::string spelt;
    for (std::size_t at = 0; at < piece.size();) {
      std::size_t length = longestToken(piece.substr(at), at > 0, spelt, ids);
      if (length == 0) {
        ids.resize(from);
        return appendUnknown(ids);
      }
      at += length;
    }
    return {};
  }

private:
  /// Appends the longest token that `rest` begins with and returns its length
  /// in `rest`, 0 where there is none.
  std::size_t longestToken(std::string_view rest, bool continues,
                           std::string &spelt,
                           std::vector<std::int32_t> &ids) const {
    spelt = continues ? prefix : "";
    std::size_t before = spelt.size();
    std::size_t room = words.longest() - std::min(before, words.longest());
    std::size_t length = std::min(rest.size(), room);
    spelt += rest.substr(0, length);
    for (; length > 0; --length) {
      bool between = length < rest.size() &&
                     (static_cast<unsigned char>(rest[length]) & 0xC0) == 0x80;
      if (between) // within a character
        continue;
      auto id = words.find(std::string_view(spelt).substr(0, before + length));
      if (id) {
        ids.push_back(static_cast<std::int32_t>(*id));
        return length;
      }
    }
    return 0;
  }
};

class WordLevel : public WordModel {
public:
  using WordModel::WordModel;

  Status encode(std::string_view piece,
                std::vector<std::int32_t> &ids) const override {
    auto id = words.find(piece);
    if (!id)
      return appendUnknown(ids);
    ids.push_back(static_cast<std::int32_t>(*id));
    return {};
  }
};

template <typename Kind>
StatusOr<std::unique_ptr<Model>> make(const Part &part, TokenizerFile &file) {
  auto model = std::make_unique<Kind>(Vocabulary(file.vocabulary));
  QOPT_RETURN_IF_ERROR(model->read(part));
  return StatusOr<std::unique_ptr<Model>>(std::move(model));
}

} // namespace

StatusOr<std::unique_ptr<Model>> makeWordPiece(const Part &part,
                                               TokenizerFile &file) {
  return make<WordPiece>(part, file);
}

StatusOr<std::unique_ptr<Model>> makeWordLevel(const Part &part,
                                               TokenizerFile &file) {
  return make<WordLevel>(part, file);
}

} // namespace qopt::runtime
