// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/PrintableNames.h"
#include "runtime/PrintableText.h"
#include "llvm/ADT/Twine.h"

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

std::string printableName(StringRef name) {
  return cut(runtime::printable(name), 120);
}

std::string printableLine(StringRef line) {
  return cut(runtime::printable(line), 2000);
}

std::string printable(StringRef message) {
  std::string result;
  for (StringRef rest = message; !rest.empty();) {
    auto [line, others] = rest.split('\n');
    result += printableLine(line);
    if (line.size() < rest.size())
      result += '\n';
    rest = others;
  }
  return result;
}

} // namespace qopt::onnx
