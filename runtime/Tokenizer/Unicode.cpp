// Character classes and normal forms on utf8proc's tables.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/Tokenizer/Unicode.h"
#include "runtime/Tokenizer/UnicodeVersions.h"
#include "runtime/Tokenizer/Utf8.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <utf8proc.h>
#include <utility>
#include <vector>

namespace qopt::runtime {

template <std::size_t N>
static bool within(const CharacterRange (&ranges)[N], char32_t character) {
  const CharacterRange *range = std::upper_bound(
      std::begin(ranges), std::end(ranges), character,
      [](char32_t c, const CharacterRange &r) { return c < r.first; });
  return range != std::begin(ranges) && character <= std::prev(range)->last;
}

static utf8proc_category_t category(char32_t character) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(character));
}

bool isWhitespace(char32_t c) {
  if (c < 0x80)
    return c == ' ' || (c >= 9 && c <= 13);
  return c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
         c == 0x202F || c == 0x205F || c == 0x3000;
}

bool isPunctuation(char32_t c) {
  if (c < 0x80)
    return c > ' ' && c < 0x7F && !(c >= '0' && c <= '9') &&
           !(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z');
  utf8proc_category_t kind = category(c);
  bool punctuation =
      kind >= UTF8PROC_CATEGORY_PC && kind <= UTF8PROC_CATEGORY_PO;
  return (punctuation && !within(notPunctuation, c)) ||
         within(alsoPunctuation, c);
}

bool isNumeric(char32_t c) {
  utf8proc_category_t kind = category(c);
  bool number = kind >= UTF8PROC_CATEGORY_ND && kind <= UTF8PROC_CATEGORY_NO;
  return number || within(laterNumbers, c);
}

bool isControl(char32_t c) {
  if (c == '\t' || c == '\n' || c == '\r')
    return false;
  utf8proc_category_t kind = category(c);
  bool control = kind == UTF8PROC_CATEGORY_CC || kind == UTF8PROC_CATEGORY_CF ||
                 kind == UTF8PROC_CATEGORY_CO;
  return control && !within(notControl, c);
}

bool isNonspacingMark(char32_t c) {
  if (c < 0x300)
    return false;
  bool mark = category(c) == UTF8PROC_CATEGORY_MN;
  return (mark && !within(notNonspacingMark, c)) ||
         within(alsoNonspacingMark, c);
}

bool isCombiningMark(char32_t c) {
  if (c < 0x300)
    return false;
  utf8proc_category_t kind = category(c);
  bool mark = kind >= UTF8PROC_CATEGORY_MN && kind <= UTF8PROC_CATEGORY_ME;
  return (mark && !within(notCombiningMark, c)) || within(alsoCombiningMark, c);
}

bool isWordCharacter(char32_t c) {
  utf8proc_category_t kind = category(c);
  bool word = (kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_NL) ||
              kind == UTF8PROC_CATEGORY_PC;
  return word || within(laterWords, c);
}

bool isChineseCharacter(char32_t c) {
  static constexpr CharacterRange blocks[] = {
      {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFAFF},
      {0x20000, 0x2A6DF}, {0x2A700, 0x2B81F}, {0x2B920, 0x2CEAF},
      {0x2F800, 0x2FA1F}};
  return c >= 0x3400 && within(blocks, c);
}

void appendLowercase(std::string &text, char32_t c) {
  if (c < 0x80) {
    text += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  } else if (c == 0x130) { // the one character whose lower case is two
    text += "i\xCC\x87";
  } else {
    auto lower = static_cast<char32_t>(
        utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
    for (auto [first, last, distance] : laterLowercase)
      if (c >= first && c <= last)
        lower = c + static_cast<char32_t>(distance);
    appendUtf8(text, lower);
  }
}

static bool isAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x80;
  });
}

static void decompose(std::string_view text, bool compatible,
                      std::vector<utf8proc_int32_t> &characters) {
  int flags = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE;
  if (compatible)
    flags |= UTF8PROC_COMPAT;
  auto options = static_cast<utf8proc_option_t>(flags);
  for (std::size_t at = 0, length; at < text.size(); at += length) {
    char32_t c = firstCharacter(text.substr(at), length);
    utf8proc_int32_t parts[32]; // the longest decomposition has 18
    utf8proc_ssize_t count = 1;
    parts[0] = static_cast<utf8proc_int32_t>(c);
    if (c >= 0x80 && !within(undecomposed, c)) {
      int boundary = 0;
      count = utf8proc_decompose_char(parts[0], parts, 32, options, &boundary);
    }
    if (count >= 1 && count <= 32)
      characters.insert(characters.end(), parts, parts + count);
    else
      characters.push_back(static_cast<utf8proc_int32_t>(c));
  }
}

/// Canonical order: each run of combining marks sorted by class, equals in
/// place. Sorted, not exchanged one by one as in the definition, which takes
/// quadratic time on a long run.
static void orderMarks(std::vector<utf8proc_int32_t> &characters) {
  auto combiningClass = [](utf8proc_int32_t c) -> std::uint64_t {
    if (c < 0x300 || within(notCombiningMark, static_cast<char32_t>(c)))
      return 0;
    return utf8proc_get_property(c)->combining_class;
  };
  std::vector<std::pair<std::uint64_t, utf8proc_int32_t>> run; // class, place
  for (std::size_t i = 0; i < characters.size(); ++i) {
    run.clear();
    for (; i < characters.size() && combiningClass(characters[i]) != 0; ++i)
      run.push_back(
          {combiningClass(characters[i]) << 40 | run.size(), characters[i]});
    std::sort(run.begin(), run.end());
    for (std::size_t j = 0; j < run.size(); ++j)
      characters[i - run.size() + j] = run[j].second;
  }
}

/// Composes ordered characters in place. utf8proc takes U+11A7 for a final
/// consonant and loses it behind a Hangul syllable; it composes with nothing,
/// so the parts between are composed on their own.
static void compose(std::vector<utf8proc_int32_t> &characters) {
  constexpr utf8proc_int32_t noFinal = 0x11A7;
  auto done = characters.begin(); // what is composed lies before
  for (auto begin = characters.begin(); begin != characters.end();) {
    auto end = std::find(std::next(begin), characters.end(), noFinal);
    utf8proc_ssize_t count = utf8proc_normalize_utf32(
        &*begin, end - begin,
        static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
    done = std::copy_n(begin, count, done);
    begin = end;
  }
  characters.erase(done, characters.end());
}

std::string normalize(std::string_view text, NormalForm form) {
  if (isAscii(text))
    return std::string(text);
  bool compatible = form == NormalForm::CompatComposed ||
                    form == NormalForm::CompatDecomposed;
  std::vector<utf8proc_int32_t> characters;
  characters.reserve(text.size());
  decompose(text, compatible, characters);
  orderMarks(characters);
  if (form == NormalForm::Composed || form == NormalForm::CompatComposed)
    compose(characters);
  std::string result;
  result.reserve(text.size());
  for (utf8proc_int32_t character : characters)
    appendUtf8(result, static_cast<char32_t>(character));
  return result;
}

std::size_t graphemeLength(std::string_view text) {
  std::size_t length;
  auto previous = static_cast<utf8proc_int32_t>(firstCharacter(text, length));
  utf8proc_int32_t state = 0;
  while (length < text.size()) {
    std::size_t bytes;
    auto next = static_cast<utf8proc_int32_t>(
        firstCharacter(text.substr(length), bytes));
    if (utf8proc_grapheme_break_stateful(previous, next, &state))
      break;
    previous = next;
    length += bytes;
  }
  return length;
}

} // namespace qopt::runtime
