// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/ParseJson.h"

using namespace llvm;

namespace qopt::driver {

static bool isTooDeep(StringRef text) {
  constexpr int deepest = 64;
  int depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (quoted && c == '\\')
      ++i;
    else if (c == '"')
      quoted = !quoted;
    else if (!quoted && (c == '{' || c == '[') && ++depth > deepest)
      return true;
    else if (!quoted && (c == '}' || c == ']'))
      --depth;
  }
  return false;
}

StatusOr<json::Value> parseJson(StringRef text) {
  if (isTooDeep(text))
    return Status(StatusCode::InvalidArgument,
                  "it has values more than 64 levels deep in each other");
  Expected<json::Value> value = json::parse(text);
  if (!value)
    return Status(StatusCode::InvalidArgument, toString(value.takeError()));
  return std::move(*value);
}

} // namespace qopt::driver
