// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Tokens/NamedText.h"

#include <filesystem>
#include <set>

namespace qopt {

NamedText splitName(const std::string &text) {
  size_t equals = text.find('=');
  std::error_code error;
  if (equals == std::string::npos || equals == 0 ||
      std::filesystem::exists(text, error))
    return {text, text};
  return {text.substr(0, equals), text.substr(equals + 1)};
}

StatusOr<std::vector<NamedText>>
splitNames(const std::string &option, const std::vector<std::string> &texts) {
  std::vector<NamedText> named;
  std::set<std::string> names;
  for (const std::string &text : texts) {
    NamedText split = splitName(text);
    if (split.path.empty())
      return Status(StatusCode::InvalidArgument,
                    option + " is \"" + text +
                        "\"; expected PATH or NAME=PATH");
    if (!names.insert(split.name).second)
      return Status(StatusCode::InvalidArgument,
                    option + " gives \"" + split.name +
                        "\" twice; expected a name for each");
    named.push_back(std::move(split));
  }
  return named;
}

} // namespace qopt
