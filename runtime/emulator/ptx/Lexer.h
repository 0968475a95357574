// Splits PTX text into words. An instruction with its modifiers
// ("ld.global.v4.u32") is one word, so is a register ("%tid.x") and a directive
// (".reg"); comments vanish. Lines are kept: they are what every report names.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_PTX_LEXER_H
#define QOPT_RUNTIME_EMULATOR_PTX_LEXER_H

#include "qopt/Status.h"

#include <cstdint>
#include <string_view>
#include <vector>

namespace qopt::emulator::ptx {

struct Token {
  enum Kind : uint8_t { Word, Number, String, Punctuation, End };
  Kind kind = End;
  uint32_t line = 0;     ///< from 1
  std::string_view text; ///< into the source; a string without its quotes

  bool is(std::string_view wanted) const {
    return kind != String && text == wanted;
  }
};

/// The tokens of `source`, which must outlive them; the last one is End. Fails
/// on a character that PTX does not have and on an unclosed comment or string.
StatusOr<std::vector<Token>> tokenize(std::string_view source);

/// The value of a Number token: integers as 64-bit two's complement; 0f and 0d
/// forms and decimals with a point as the bits of an f32 or f64.
struct Literal {
  enum Kind : uint8_t { Integer, Single, Double } kind = Integer;
  uint64_t bits = 0;
};
StatusOr<Literal> literalOf(const Token &token);

} // namespace qopt::emulator::ptx

#endif // QOPT_RUNTIME_EMULATOR_PTX_LEXER_H
