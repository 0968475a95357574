// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/CacheFormat.h"
#include <algorithm>
#include <charconv>
#include <utility>

namespace qopt::quant {

static constexpr std::string_view recentWord = "recent=", firstWord = "first=",
                                  rotaryWord = "before_rotary";

/// Whether a text begins with a word, whatever number it has.
static bool beginsWithWord(std::string_view text) {
  return text.starts_with(recentWord) || text.starts_with(firstWord) ||
         text.starts_with(rotaryWord);
}

bool readCacheWord(std::string_view word, CacheFormat &format) {
  if (word == rotaryWord)
    return !std::exchange(format.beforeRotary, true);
  for (auto [name, number] :
       {std::pair(recentWord, &format.recent), {firstWord, &format.first}}) {
    if (!word.starts_with(name) || *number)
      continue;
    std::string_view digits = word.substr(name.size());
    const char *end = digits.data() + digits.size();
    int64_t value = 0;
    auto [stop, error] = std::from_chars(digits.data(), end, value);
    if (error != std::errc() || stop != end || value < 0)
      return false;
    *number = value;
    return true;
  }
  return false;
}

size_t cacheWordsOf(std::string_view text) {
  for (size_t at = text.find(','); at != std::string_view::npos;
       at = text.find(',', at + 1))
    if (beginsWithWord(text.substr(at + 1)))
      return at;
  return text.size();
}

StatusOr<CacheFormat> parseCacheFormat(std::string_view text) {
  size_t at = cacheWordsOf(text);
  StatusOr<Format> format = parseFormat(text.substr(0, at));
  if (!format.ok())
    return format.status();
  CacheFormat result{*format};
  while (at < text.size()) {
    size_t end = std::min(text.find(',', at + 1), text.size());
    std::string word(text.substr(at + 1, end - at - 1));
    if (!readCacheWord(word, result))
      return Status(StatusCode::InvalidArgument,
                    "\"" + word + "\" of \"" + std::string(text) +
                        "\" is no word behind a format of a cache; expected "
                        "recent=N, first=N or before_rotary, each once");
    at = end;
  }
  return result;
}

std::string spell(const CacheFormat &format) {
  std::string text = spell(format.format);
  for (auto [name, number] :
       {std::pair(recentWord, format.recent), {firstWord, format.first}})
    if (number)
      text += "," + std::string(name) + std::to_string(*number);
  if (format.beforeRotary)
    text += "," + std::string(rotaryWord);
  return text;
}

std::vector<std::string> joinCacheWords(const std::vector<std::string> &list) {
  std::vector<std::string> joined;
  for (const std::string &entry : list)
    if (!joined.empty() && beginsWithWord(entry))
      joined.back() += "," + entry;
    else
      joined.push_back(entry);
  return joined;
}

} // namespace qopt::quant
