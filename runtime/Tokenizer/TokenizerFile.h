// A tokenizer.json as read: the vocabulary and the merges as flat lists (they
// are most of the file and never become a JSON tree), all the rest as a tree.
// The file is not trusted: whatever it says, reading ends in a value or a
// status.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_TOKENIZER_TOKENIZERFILE_H
#define QOPT_RUNTIME_TOKENIZER_TOKENIZERFILE_H

#include "qopt/Status.h"

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace qopt::runtime {

struct VocabularyEntry {
  std::string token;
  std::uint32_t id;
  double score; ///< Unigram only, else 0
};

struct TokenizerFile {
  nlohmann::json tree; ///< an object; `model` without `vocab` and `merges`
  std::vector<VocabularyEntry> vocabulary;
  bool hasScores = false; ///< the vocabulary was a list of [token, score]
  std::vector<std::pair<std::string, std::string>> merges;
};

/// Token ids are below this; it bounds what a damaged file can make us
/// allocate.
inline constexpr std::uint32_t idLimit = 1u << 24;

/// What a file puts before, behind or between the tokens of every text, in
/// bytes or ids, is shorter than this: it multiplies.
inline constexpr std::size_t affixLimit = 4096;

/// And files are smaller than this, so that 32 bits count their bytes.
inline constexpr std::size_t sizeLimit = std::size_t(1) << 30;

StatusOr<TokenizerFile> readTokenizerFile(std::string_view json);

/// Typed access to the fields of one part of the file; `name` says in messages
/// which.
class Part {
public:
  Part(const nlohmann::json &object, std::string name)
      : object(object), name(std::move(name)) {}

  /// The part's "type", or an error.
  Status type(std::string &value) const { return read("type", value); }

  /// A field that must be there.
  Status read(const char *key, std::string &value) const;
  Status read(const char *key, bool &value) const;
  Status read(const char *key, std::uint64_t &value) const;
  /// A field that keeps its default where it is absent or null.
  Status readOptional(const char *key, std::string &value) const;
  Status readOptional(const char *key, bool &value) const;
  Status readOptional(const char *key, std::uint32_t &value) const;
  /// A text that every word gets; below affixLimit.
  Status readAffix(const char *key, std::string &value) const;

  /// The field, or null.
  const nlohmann::json *find(const char *key) const;
  Status wrong(const char *key, const char *expected) const;
  const std::string &title() const { return name; }

private:
  const nlohmann::json &object;
  std::string name;
};

/// A part's message prefix: `normalizer "Strip"`.
Status unsupportedPart(std::string_view kind, std::string_view type,
                       std::string_view supported);

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_TOKENIZER_TOKENIZERFILE_H
