// The second stage: text → pieces, of which the model tokenizes each on its
// own. What a tokenizer.json lists under "pre_tokenizer".
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_TOKENIZER_PRETOKENIZER_H
#define QOPT_RUNTIME_TOKENIZER_PRETOKENIZER_H

#include "runtime/Tokenizer/GrowthLimit.h"
#include "runtime/Tokenizer/Regex.h"
#include "runtime/Tokenizer/TokenizerFile.h"

#include <memory>
#include <string>
#include <vector>

namespace qopt::runtime {

/// A range of the text, in bytes, never empty.
struct Piece {
  std::size_t begin, end;
  std::size_t start; ///< as in NormalizedText
};

struct Pieces {
  std::string text;
  std::vector<Piece> pieces; ///< in order
  GrowthLimit limit;         ///< of the text

  std::string_view view(const Piece &piece) const {
    return std::string_view(text).substr(piece.begin, piece.end - piece.begin);
  }
};

class PreTokenizer {
public:
  virtual ~PreTokenizer() = default;
  /// BadModel where the text outgrows its limit; the message names the
  /// pre-tokenizer.
  Status apply(Pieces &pieces) const {
    QOPT_RETURN_IF_ERROR(change(pieces));
    return pieces.limit.check(pieces.text.size(), name);
  }

  std::string name; ///< for messages

protected:
  virtual Status change(Pieces &pieces) const = 0;
};

/// From the file's "pre_tokenizer"; a sequence becomes one.
StatusOr<std::unique_ptr<PreTokenizer>>
makePreTokenizer(const nlohmann::json &spec);

/// What becomes of a delimiter, shown for `-` in "the-final--cut".
enum class Delimiter {
  Removed,            ///< the | final | cut
  Isolated,           ///< the | - | final | - | - | cut
  MergedWithPrevious, ///< the- | final- | - | cut
  MergedWithNext,     ///< the | -final | - | -cut
  Contiguous          ///< the | - | final | -- | cut
};

/// Appends to `out` the parts of `piece`, split at `matches` (relative to the
/// piece, in order, not overlapping). `inverted`: the matches are what is kept
/// and the rest delimits.
struct Splitting {
  Delimiter delimiter;
  bool inverted = false;

  void split(const Piece &piece, const std::vector<Match> &matches,
             std::vector<Piece> &out) const;
};

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_TOKENIZER_PRETOKENIZER_H
