// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/PrintableText.h"

#include "runtime/Tokenizer/Utf8.h"

#include <cstdio>

namespace qopt::runtime {

/// C0, DEL and C1: a terminal takes U+009B as the start of a sequence too.
static bool controls(char32_t c) { return c < 0x20 || (c >= 0x7F && c < 0xA0); }

/// Marks, embeddings, overrides and isolates of direction, and the separators
/// of lines and paragraphs.
static bool formats(char32_t c) {
  return c == 0x061C || (c >= 0x200B && c <= 0x200F) ||
         (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) ||
         c == 0xFEFF;
}

std::string printable(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    Utf8Step step = decodeUtf8(text);
    char escape[16];
    if (step.kind != Utf8Step::Kind::Character) {
      result += "\xEF\xBF\xBD";
    } else if (controls(step.character)) {
      std::snprintf(escape, sizeof escape, "\\x%02x", unsigned(step.character));
      result += escape;
    } else if (formats(step.character)) {
      std::snprintf(escape, sizeof escape, "\\u%04x", unsigned(step.character));
      result += escape;
    } else {
      result += text.substr(0, step.length);
    }
    text.remove_prefix(step.length);
  }
  return result;
}

std::string printableLines(std::string_view text) {
  std::string result;
  for (size_t end = text.find('\n'); end != text.npos; end = text.find('\n')) {
    result += printable(text.substr(0, end)) + "\n";
    text.remove_prefix(end + 1);
  }
  return result + printable(text);
}

} // namespace qopt::runtime
