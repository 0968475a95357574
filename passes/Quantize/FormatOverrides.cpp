// Reading and matching of formats by name.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Quantize/FormatOverrides.h"

using namespace llvm;

namespace qopt::passes {

/// An entry whose format has words from `words` on.
StatusOr<FormatOverrides::Entry>
FormatOverrides::parseEntry(const std::string &text, size_t words) {
  auto invalid = [](const std::string &why) {
    return Status(StatusCode::InvalidArgument, why);
  };
  size_t equals = StringRef(text).take_front(words).rfind('=');
  if (equals == StringRef::npos || equals == 0)
    return invalid("expected name=format or re:pattern=format");
  std::string_view spelt = std::string_view(text).substr(equals + 1);
  Entry entry{text, text.substr(0, equals), std::nullopt, {}};
  if (words < text.size()) {
    StatusOr<quant::CacheFormat> format = quant::parseCacheFormat(spelt);
    if (!format.ok())
      return format.status();
    entry.format = *format;
  } else {
    StatusOr<quant::Format> format = quant::parseFormat(spelt);
    if (!format.ok())
      return format.status();
    entry.format.format = *format;
  }
  if (StringRef(entry.name).starts_with("re:")) {
    entry.pattern.emplace(StringRef(entry.name).drop_front(3));
    if (std::string why; !entry.pattern->isValid(why))
      return invalid("the pattern is not valid: " + why);
  }
  return entry;
}

StatusOr<FormatOverrides>
FormatOverrides::parse(StringRef option, ArrayRef<std::string> entries) {
  return parse(option, entries, [](StringRef text) { return text.size(); });
}

StatusOr<FormatOverrides>
FormatOverrides::parseOfCache(StringRef option, ArrayRef<std::string> entries) {
  return parse(option, quant::joinCacheWords(entries.vec()),
               quant::cacheWordsOf);
}

StatusOr<FormatOverrides>
FormatOverrides::parse(StringRef option, ArrayRef<std::string> entries,
                       function_ref<size_t(StringRef)> wordsOf) {
  FormatOverrides overrides;
  for (const std::string &text : entries) {
    StatusOr<Entry> entry = parseEntry(text, wordsOf(text));
    if (!entry.ok())
      return Status(entry.status().code(),
                    option.str() + " \"" + text +
                        "\": " + entry.status().message());
    overrides.entries.push_back(std::move(*entry));
  }
  return overrides;
}

std::optional<quant::CacheFormat>
FormatOverrides::lookupOfCache(StringRef name) {
  std::optional<quant::CacheFormat> found;
  for (Entry &entry : entries) {
    if (entry.pattern ? !entry.pattern->match(name) : entry.name != name)
      continue;
    entry.matched = true;
    if (found)
      continue;
    entry.won = true;
    found = entry.format;
  }
  return found;
}

std::optional<quant::Format> FormatOverrides::lookup(StringRef name) {
  std::optional<quant::CacheFormat> found = lookupOfCache(name);
  return found ? std::optional(found->format) : std::nullopt;
}

SmallVector<StringRef> FormatOverrides::unmatched() const {
  SmallVector<StringRef> names;
  for (const Entry &entry : entries)
    if (!entry.matched)
      names.push_back(entry.text);
  return names;
}

SmallVector<StringRef> FormatOverrides::hidden() const {
  SmallVector<StringRef> names;
  for (const Entry &entry : entries)
    if (entry.matched && !entry.won)
      names.push_back(entry.text);
  return names;
}

} // namespace qopt::passes
