// UTF-8 decoding after table 3-7 of the Unicode standard: the second byte of
// some leads is restricted, which excludes overlong forms, surrogates and what
// lies above U+10FFFF.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/Tokenizer/Utf8.h"

namespace qopt::runtime {

namespace {
struct Lead {
  std::size_t length;      ///< of the whole character, 0: no lead byte
  unsigned char low, high; ///< range of the second byte
};
} // namespace

static Lead classify(unsigned char byte) {
  if (byte >= 0xC2 && byte <= 0xDF)
    return {2, 0x80, 0xBF};
  if (byte == 0xE0)
    return {3, 0xA0, 0xBF};
  if (byte == 0xED)
    return {3, 0x80, 0x9F};
  if (byte >= 0xE1 && byte <= 0xEF)
    return {3, 0x80, 0xBF};
  if (byte == 0xF0)
    return {4, 0x90, 0xBF};
  if (byte >= 0xF1 && byte <= 0xF3)
    return {4, 0x80, 0xBF};
  if (byte == 0xF4)
    return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

Utf8Step decodeUtf8(std::string_view text) {
  auto byte = [&](std::size_t i) {
    return static_cast<unsigned char>(text[i]);
  };
  if (byte(0) < 0x80)
    return {Utf8Step::Kind::Character, byte(0), 1};
  Lead lead = classify(byte(0));
  if (lead.length == 0)
    return {Utf8Step::Kind::Invalid, 0, 1};
  char32_t character = byte(0) & (0x7F >> lead.length);
  for (std::size_t i = 1; i < lead.length; ++i) {
    if (i == text.size())
      return {Utf8Step::Kind::Incomplete, 0, i};
    unsigned char low = i == 1 ? lead.low : 0x80;
    unsigned char high = i == 1 ? lead.high : 0xBF;
    if (byte(i) < low || byte(i) > high)
      return {Utf8Step::Kind::Invalid, 0, i};
    character = character << 6 | (byte(i) & 0x3F);
  }
  return {Utf8Step::Kind::Character, character, lead.length};
}

char32_t firstCharacter(std::string_view text, std::size_t &length) {
  Utf8Step step = decodeUtf8(text);
  length = step.length;
  return step.character;
}

void appendUtf8(std::string &text, char32_t character) {
  if (character < 0x80) {
    text += static_cast<char>(character);
    return;
  }
  int continuations = character < 0x800 ? 1 : character < 0x10000 ? 2 : 3;
  static constexpr unsigned char marks[] = {0, 0xC0, 0xE0, 0xF0};
  text += static_cast<char>(marks[continuations] |
                            (character >> (6 * continuations)));
  for (int i = continuations - 1; i >= 0; --i)
    text += static_cast<char>(0x80 | ((character >> (6 * i)) & 0x3F));
}

std::size_t countCharacters(std::string_view text) {
  std::size_t count = 0;
  for (char c : text)
    count += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return count;
}

std::size_t appendValidUtf8(std::string &text, std::string_view bytes) {
  while (!bytes.empty()) {
    Utf8Step step = decodeUtf8(bytes);
    if (step.kind == Utf8Step::Kind::Incomplete)
      return bytes.size();
    if (step.kind == Utf8Step::Kind::Character)
      text += bytes.substr(0, step.length);
    else
      text += replacementCharacter;
    bytes.remove_prefix(step.length);
  }
  return 0;
}

std::string toValidUtf8(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  if (appendValidUtf8(text, bytes) > 0)
    text += replacementCharacter;
  return text;
}

} // namespace qopt::runtime
