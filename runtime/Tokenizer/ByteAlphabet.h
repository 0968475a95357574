// GPT-2's alphabet: each of the 256 bytes is spelt as one printable character,
// so that a vocabulary of texts can hold any bytes. Printable Latin-1 stands
// for itself, the others follow from U+0100 on.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_TOKENIZER_BYTEALPHABET_H
#define QOPT_RUNTIME_TOKENIZER_BYTEALPHABET_H

#include <optional>
#include <string>
#include <string_view>

namespace qopt::runtime {

/// Appends every byte of `bytes` as its character.
void appendSpeltBytes(std::string &text, std::string_view bytes);

inline std::string spellBytes(std::string_view bytes) {
  std::string text;
  appendSpeltBytes(text, bytes);
  return text;
}

/// The byte that `character` stands for, if any.
std::optional<unsigned char> speltByte(char32_t character);

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_TOKENIZER_BYTEALPHABET_H
