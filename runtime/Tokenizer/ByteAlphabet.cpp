// The table of the 256 characters.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/Tokenizer/ByteAlphabet.h"

#include <array>

namespace qopt::runtime {

namespace {
struct Alphabet {
  std::array<char32_t, 256> characters{};
  std::array<short, 0x144> bytes{};

  constexpr Alphabet() {
    for (short &byte : bytes)
      byte = -1;
    char32_t next = 0x100;
    for (int byte = 0; byte < 256; ++byte) {
      bool printable = (byte >= '!' && byte <= '~') ||
                       (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
      characters[byte] = printable ? static_cast<char32_t>(byte) : next++;
      bytes[characters[byte]] = static_cast<short>(byte);
    }
  }
};
} // namespace

static constexpr Alphabet alphabet;

void appendSpeltBytes(std::string &text, std::string_view bytes) {
  for (char c : bytes) {
    char32_t character = alphabet.characters[static_cast<unsigned char>(c)];
    if (character < 0x80) {
      text += static_cast<char>(character);
    } else { // all are below U+0800
      text += static_cast<char>(0xC0 | character >> 6);
      text += static_cast<char>(0x80 | (character & 0x3F));
    }
  }
}

std::optional<unsigned char> speltByte(char32_t character) {
  if (character >= alphabet.bytes.size() || alphabet.bytes[character] < 0)
    return std::nullopt;
  return static_cast<unsigned char>(alphabet.bytes[character]);
}

} // namespace qopt::runtime
