// Reading and walking the double array. A damaged one may point anywhere: every
// index is checked.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/Tokenizer/Charsmap.h"
#include "runtime/Tokenizer/Unicode.h"
#include "runtime/Tokenizer/Utf8.h"

namespace qopt::runtime {

static int base64Digit(char c) {
  if (c >= 'A' && c <= 'Z')
    return c - 'A';
  if (c >= 'a' && c <= 'z')
    return c - 'a' + 26;
  if (c >= '0' && c <= '9')
    return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static std::optional<std::string> decodeBase64(std::string_view text) {
  while (!text.empty() && text.back() == '=')
    text.remove_suffix(1);
  std::string bytes;
  bytes.reserve(text.size() * 3 / 4);
  std::uint32_t bits = 0;
  int count = 0;
  for (char c : text) {
    int digit = base64Digit(c);
    if (digit < 0)
      return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(digit);
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes += static_cast<char>(bits >> count & 0xFF);
    }
  }
  return bytes;
}

StatusOr<Charsmap> Charsmap::parse(std::string_view base64) {
  Status damaged(StatusCode::BadModel,
                 "tokenizer: normalizer \"Precompiled\": field "
                 "\"precompiled_charsmap\" is damaged");
  std::optional<std::string> bytes = decodeBase64(base64);
  if (!bytes || bytes->size() < 4)
    return damaged;
  auto word = [&](std::size_t at) {
    std::uint32_t value = 0;
    for (int i = 3; i >= 0; --i)
      value = value << 8 | static_cast<unsigned char>((*bytes)[at + i]);
    return value;
  };
  std::size_t count = word(0) / 4;
  if (count == 0 || bytes->size() < 4 + count * 4)
    return damaged;
  Charsmap map;
  map.units.reserve(count);
  for (std::size_t i = 0; i < count; ++i)
    map.units.push_back(word(4 + i * 4));
  map.replacements = bytes->substr(4 + count * 4);
  if (toValidUtf8(map.replacements) != map.replacements)
    return damaged;
  return map;
}

std::optional<std::string_view>
Charsmap::replacement(std::string_view text) const {
  auto offset = [](std::uint32_t unit) {
    return static_cast<std::size_t>(unit >> 10) << ((unit & 1u << 9) >> 6);
  };
  std::size_t node = offset(units[0]);
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    node ^= byte;
    if (byte == 0 || node >= units.size() ||
        (units[node] & (1u << 31 | 0xFF)) != byte)
      return std::nullopt;
    bool leaf = units[node] >> 8 & 1;
    node ^= offset(units[node]);
    if (!leaf)
      continue;
    if (node >= units.size())
      return std::nullopt;
    std::size_t begin = units[node] & ~(1u << 31);
    if (begin >= replacements.size() ||
        (static_cast<unsigned char>(replacements[begin]) & 0xC0) == 0x80)
      return std::nullopt;
    return std::string_view(replacements)
        .substr(begin, replacements.find('\0', begin) - begin);
  }
  return std::nullopt;
}

namespace {

/// Writes the new text and follows which characters come from the first one.
/// The reference counts a replacement by more characters as inserted before
/// what it replaces and a replacement by none not at all; Metaspace's "first"
/// depends on that.
class Rewriting {
public:
  explicit Rewriting(const NormalizedText &old) : old(old) {}

  void replace(std::string_view from, std::string_view to) {
    auto grows = static_cast<std::ptrdiff_t>(countCharacters(to)) -
                 static_cast<std::ptrdiff_t>(countCharacters(from));
    for (bool first = true; !to.empty(); first = false) {
      std::size_t length;
      (void)firstCharacter(to, length);
      result += to.substr(0, length);
      to.remove_prefix(length);
      bool inserted = !first || grows > 0;
      std::size_t origin = inserted && at > 0 ? at - 1 : at;
      if (origin < old.start)
        start = result.size();
      for (std::ptrdiff_t i = grows; !inserted && i <= 0; ++i)
        skipCharacter();
    }
  }

  std::size_t size() const { return result.size(); }
  void finish(NormalizedText &text) { text.become(std::move(result), start); }

private:
  void skipCharacter() {
    std::size_t length = 0;
    if (at < old.text.size())
      (void)firstCharacter(std::string_view(old.text).substr(at), length);
    at += length;
  }

  const NormalizedText &old;
  std::string result;
  std::size_t at = 0, start = 0; ///< in the old text; in the new one
};

} // namespace

void Charsmap::apply(NormalizedText &text) const {
  Rewriting rewriting(text);
  std::string_view rest = text.text;
  // What outgrows its limit is refused: no need to finish it.
  while (!rest.empty() && rewriting.size() <= text.limit.most()) {
    std::string_view cluster = rest.substr(0, graphemeLength(rest));
    rest.remove_prefix(cluster.size());
    auto whole = cluster.size() < 6 ? replacement(cluster) : std::nullopt;
    if (whole) {
      rewriting.replace(cluster, *whole);
      continue;
    }
    while (!cluster.empty()) {
      std::size_t length;
      (void)firstCharacter(cluster, length);
      std::string_view character = cluster.substr(0, length);
      rewriting.replace(character, replacement(character).value_or(character));
      cluster.remove_prefix(length);
    }
  }
  rewriting.finish(text);
}

} // namespace qopt::runtime
