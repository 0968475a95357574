// The table of models and what they share.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/Tokenizer/Model.h"

namespace qopt::runtime {

using nlohmann::json;

ByteTokens::ByteTokens(const Vocabulary &vocabulary) {
  static constexpr char digits[] = "0123456789ABCDEF";
  for (int byte = 0; byte < 256; ++byte) {
    std::string token = {'<', '0', 'x', digits[byte >> 4], digits[byte & 15],
                         '>'};
    auto id = vocabulary.find(token);
    ids[byte] = id ? static_cast<std::int32_t>(*id) : none;
  }
}

bool ByteTokens::append(std::string_view bytes,
                        std::vector<std::int32_t> &to) const {
  for (char c : bytes)
    if (ids[static_cast<unsigned char>(c)] == none)
      return false;
  for (char c : bytes)
    to.push_back(ids[static_cast<unsigned char>(c)]);
  return true;
}

/// Old files leave the type out; what else is there tells the models apart.
static std::string guessType(const Part &part, const TokenizerFile &file) {
  if (file.hasScores)
    return "Unigram";
  if (part.find("max_input_chars_per_word"))
    return "WordPiece";
  return file.merges.empty() && part.find("unk_token") && !part.find("fuse_unk")
             ? "WordLevel"
             : "BPE";
}

StatusOr<std::unique_ptr<Model>> makeModel(TokenizerFile &file) {
  const json *spec = Part(file.tree, "").find("model");
  if (!spec || !spec->is_object())
    return Part(file.tree, "file").wrong("model", "an object");
  Part untitled(*spec, "model");
  std::string type = guessType(untitled, file);
  QOPT_RETURN_IF_ERROR(untitled.readOptional("type", type));
  Part part(*spec, "model \"" + type + "\"");
  if (type != "BPE" && type != "Unigram" && type != "WordPiece" &&
      type != "WordLevel")
    return unsupportedPart("model", type, "BPE, Unigram, WordPiece, WordLevel");
  if (file.vocabulary.empty())
    return Status(StatusCode::BadModel,
                  "tokenizer: " + part.title() + " has no vocabulary");
  if (file.hasScores != (type == "Unigram"))
    return Status(StatusCode::BadModel,
                  "tokenizer: " + part.title() + ": expected a vocabulary of " +
                      (type == "Unigram" ? "[token, score]" : "token: id"));
  if (type == "BPE")
    return makeBpe(part, file);
  if (type == "Unigram")
    return makeUnigram(part, file);
  return type == "WordPiece" ? makeWordPiece(part, file)
                             : makeWordLevel(part, file);
}

} // namespace qopt::runtime
