// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/PrintableNames.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/JSON.h"

using namespace llvm;

namespace qopt::onnx {

/// The start of a text and how much is left out; no character is cut in two.
static std::string cut(StringRef text, size_t most) {
  if (text.size() <= most)
    return text.str();
  size_t end = most;
  while (end > 0 && (text[end] & 0xC0) == 0x80)
    --end;
  return (text.take_front(end) + "... (" + Twine(text.size()) + " bytes)")
      .str();
}

static std::string escaped(StringRef text) {
  std::string result;
  for (char c : llvm::json::fixUTF8(text)) {
    if ((c >= 0 && c < 0x20) || c == 0x7F)
      result += "\\x" + llvm::utohexstr(c, /*LowerCase=*/true, 2);
    else
      result += c;
  }
  return result;
}

std::string printableName(StringRef name) { return cut(escaped(name), 120); }

std::string printable(StringRef message) {
  std::string result;
  for (StringRef rest = message; !rest.empty();) {
    auto [line, others] = rest.split('\n');
    result += cut(escaped(line), 2000);
    if (line.size() < rest.size())
      result += '\n';
    rest = others;
  }
  return result;
}

} // namespace qopt::onnx
