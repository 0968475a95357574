// The names of properties and what is added to them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/Tokenizer/RegexProperties.h"
#include "runtime/Tokenizer/UnicodeVersions.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <initializer_list>
#include <iterator>
#include <utility>

namespace qopt::runtime {

std::string spellCharacter(char32_t character) {
  char buffer[16];
  std::snprintf(buffer, sizeof(buffer), "\\x{%x}",
                static_cast<unsigned>(character));
  return buffer;
}

static std::string spellRange(char32_t first, char32_t last) {
  return spellCharacter(first) + "-" + spellCharacter(last);
}

/// The later characters of categories that begin with one of `categories`.
static std::string later(std::initializer_list<std::string_view> categories) {
  std::string contents;
  for (const LaterCharacters &range : laterCharacters)
    for (std::string_view category : categories)
      if (range.category.starts_with(category))
        contents += spellRange(range.first, range.last);
  return contents;
}

std::string wordContents() {
  static const std::string contents =
      "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{b2}\\x{b3}\\x{b9}"
      "\\x{bc}-\\x{be}" +
      later({"L", "M", "Nd"});
  return contents;
}

/// Letters and digits of a name, in lower case: what is compared.
static std::string keyOf(std::string_view name) {
  std::string key;
  for (char c : name)
    if (std::isalnum(static_cast<unsigned char>(c)))
      key += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return key;
}

/// Properties that are neither categories nor scripts and go by one name.
static bool isBinary(std::string_view key) {
  static constexpr std::string_view names[] = {"any",
                                               "asciihexdigit",
                                               "dash",
                                               "diacritic",
                                               "emoji",
                                               "emojicomponent",
                                               "emojimodifier",
                                               "emojimodifierbase",
                                               "emojipresentation",
                                               "extendedpictographic",
                                               "extender",
                                               "hexdigit",
                                               "ideographic",
                                               "math",
                                               "radical"};
  return std::find(std::begin(names), std::end(names), key) != std::end(names);
}

std::string propertyContents(std::string_view name) {
  std::string key = keyOf(name);
  static constexpr std::pair<std::string_view, std::string_view> longNames[] = {
      {"letter", "L"},      {"mark", "M"},  {"number", "N"},
      {"punctuation", "P"}, {"punct", "P"}, {"symbol", "S"},
      {"separator", "Z"},   {"other", "C"}, {"digit", "Nd"},
      {"cntrl", "Cc"}};
  for (auto [from, to] : longNames)
    if (key == from)
      return propertyContents(to);
  if (key == "space" || key == "whitespace")
    return std::string(spaceContents);
  if (key == "word")
    return wordContents();
  if (key == "alpha" || key == "alphabetic")
    return "\\p{Alphabetic}" + later({"L", "M"});
  if (key == "upper" || key == "uppercase")
    return "\\p{Uppercase}" + later({"Lu"});
  if (key == "lower" || key == "lowercase")
    return "\\p{Lowercase}" + later({"Ll"});
  if (key == "han")
    return "\\p{sc:Han}" + spellRange(laterHan[0].first, laterHan[0].last) +
           spellRange(laterHan[1].first, laterHan[1].last) +
           spellRange(laterHan[2].first, laterHan[2].last);
  std::string property(name);
  if (isBinary(key) || name.size() > 2)
    return "\\p{" + (isBinary(key) ? property : "sc:" + property) + "}";
  std::string category = key;
  if (!category.empty())
    category[0] = static_cast<char>(
        std::toupper(static_cast<unsigned char>(category[0])));
  bool plain = !category.empty() && category.size() == name.size();
  return "\\p{" + property + "}" + (plain ? later({category}) : "");
}

std::optional<std::string> posixContents(std::string_view name) {
  if (name == "alpha" || name == "digit" || name == "upper" ||
      name == "lower" || name == "space" || name == "cntrl" || name == "word")
    return propertyContents(name);
  if (name == "alnum")
    return propertyContents("alpha") + propertyContents("digit");
  if (name == "punct")
    return propertyContents("P") + propertyContents("S");
  if (name == "xdigit")
    return std::string(hexDigitContents);
  return std::nullopt;
}

} // namespace qopt::runtime
