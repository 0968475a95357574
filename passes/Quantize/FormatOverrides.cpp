// Reading and matching of formats by name.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Quantize/FormatOverrides.h"

using namespace llvm;

namespace qopt::passes {

StatusOr<FormatOverrides>
FormatOverrides::parse(StringRef option, ArrayRef<std::string> entries) {
  auto invalid = [&](const std::string &entry, const std::string &why) {
    return Status(StatusCode::InvalidArgument,
                  option.str() + " \"" + entry + "\": " + why);
  };
  FormatOverrides overrides;
  for (const std::string &text : entries) {
    size_t equals = text.rfind('=');
    if (equals == std::string::npos || equals == 0)
      return invalid(text, "expected name=format or re:pattern=format");
    StatusOr<quant::Format> format =
        quant::parseFormat(std::string_view(text).substr(equals + 1));
    if (!format.ok())
      return invalid(text, format.status().message());
    Entry entry{text, text.substr(0, equals), std::nullopt, *format};
    if (StringRef(entry.name).starts_with("re:")) {
      entry.pattern.emplace(StringRef(entry.name).drop_front(3));
      if (std::string why; !entry.pattern->isValid(why))
        return invalid(text, "the pattern is not valid: " + why);
    }
    overrides.entries.push_back(std::move(entry));
  }
  return overrides;
}

std::optional<quant::Format> FormatOverrides::lookup(StringRef name) {
  std::optional<quant::Format> found;
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
