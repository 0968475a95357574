// UTF-8 as every stage of the tokenizer needs it: one decoder that never reads
// past the end, one writer, and the replacement of invalid bytes by U+FFFD (one
// for each maximal part that could have begun a character, which is what
// Python's `errors="replace"` does).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_TOKENIZER_UTF8_H
#define QOPT_RUNTIME_TOKENIZER_UTF8_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace qopt::runtime {

/// One step of decoding: a character and how many bytes it takes.
struct Utf8Step {
  enum class Kind {
    Character, ///< `character` is valid
    Invalid,   ///< `length` bytes can begin no character
    Incomplete ///< the text ends within a character that is valid so far
  };
  Kind kind;
  char32_t character;
  std::size_t length;
};

/// Decodes at the start of `text`, which must not be empty.
Utf8Step decodeUtf8(std::string_view text);

/// The character at the start of valid, not empty `text`; `length` receives its
/// bytes.
char32_t firstCharacter(std::string_view text, std::size_t &length);

void appendUtf8(std::string &text, char32_t character);

/// How many characters valid `text` has.
std::size_t countCharacters(std::string_view text);

/// Appends `bytes` with U+FFFD for what is invalid. Returns how many bytes at
/// the end it left out because they may be the beginning of a character.
std::size_t appendValidUtf8(std::string &text, std::string_view bytes);

/// `bytes` as valid UTF-8, an incomplete end replaced too.
std::string toValidUtf8(std::string_view bytes);

inline constexpr std::string_view replacementCharacter = "\xEF\xBF\xBD";

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_TOKENIZER_UTF8_H
