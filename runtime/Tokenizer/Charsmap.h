// SentencePiece's compiled normalization rules ("precompiled_charsmap"): a
// double-array trie from characters to replacements, as T5, ALBERT and XLM-R
// tokenizers carry it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_TOKENIZER_CHARSMAP_H
#define QOPT_RUNTIME_TOKENIZER_CHARSMAP_H

#include "runtime/Tokenizer/Normalizer.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qopt::runtime {

/// The binary form, little endian: u32 bytes of the trie | trie: u32 each |
/// replacements, each ended by a zero byte.
///
///   trie unit   31      30 … 10   9        8     7 … 0
///               value?  offset    offset   has   label
///                                 << 8     leaf
class Charsmap {
public:
  /// From base64.
  static StatusOr<Charsmap> parse(std::string_view base64);

  /// Applies the rules to the text: to each grapheme cluster below six bytes as
  /// a whole, else to its characters.
  void apply(NormalizedText &text) const;

private:
  /// The replacement for the shortest rule that `text` begins with.
  std::optional<std::string_view> replacement(std::string_view text) const;

  std::vector<std::uint32_t> units;
  std::string replacements;
};

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_TOKENIZER_CHARSMAP_H
