// What the tokenizer asks about characters: classes and normal forms. The
// categories come from utf8proc; where the libraries that made the published
// vocabularies know another version of Unicode (some stopped at version 8), the
// tables in UnicodeVersions.h say so, because a vocabulary was trained with
// their answer.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_TOKENIZER_UNICODE_H
#define QOPT_RUNTIME_TOKENIZER_UNICODE_H

#include <cstddef>
#include <string>
#include <string_view>

namespace qopt::runtime {

/// White_Space of Unicode.
bool isWhitespace(char32_t character);
/// ASCII punctuation and symbols, and category P as of Unicode 8.
bool isPunctuation(char32_t character);
/// Category N.
bool isNumeric(char32_t character);
/// Categories Cc, Cf, Co, without tab, line feed and carriage return.
bool isControl(char32_t character);
/// Category Mn as of Unicode 8.
bool isNonspacingMark(char32_t character);
/// Category M as of Unicode 9.
bool isCombiningMark(char32_t character);
/// `\w`: alphabetic, marks, decimal digits, connectors, joiners.
bool isWordCharacter(char32_t character);
/// The blocks of Chinese characters that BERT puts spaces around.
bool isChineseCharacter(char32_t character);

/// Appends the lower case of `character`, which may be two characters.
void appendLowercase(std::string &text, char32_t character);

enum class NormalForm {
  Composed,
  Decomposed,
  CompatComposed,
  CompatDecomposed
};

/// `text` (valid UTF-8) in a normal form; linear in its length but for sorting
/// runs of combining marks.
std::string normalize(std::string_view text, NormalForm form);

/// Where the extended grapheme cluster at the start of `text` (not empty) ends,
/// in bytes.
std::size_t graphemeLength(std::string_view text);

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_TOKENIZER_UNICODE_H
