// Reading Metaspace in its present and its older spelling ("add_prefix_space").
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/Tokenizer/Metaspace.h"
#include "runtime/Tokenizer/Utf8.h"

namespace qopt::runtime {

StatusOr<Metaspace> readMetaspace(const Part &part) {
  Metaspace metaspace;
  QOPT_RETURN_IF_ERROR(part.read("replacement", metaspace.symbol));
  if (countCharacters(metaspace.symbol) != 1)
    return part.wrong("replacement", "one character");
  QOPT_RETURN_IF_ERROR(part.readOptional("split", metaspace.split));

  std::string scheme;
  QOPT_RETURN_IF_ERROR(part.readOptional("prepend_scheme", scheme));
  bool addSpace = true;
  QOPT_RETURN_IF_ERROR(part.readOptional("add_prefix_space", addSpace));
  if (scheme == "never" || (scheme.empty() && !addSpace))
    metaspace.prepend = Metaspace::Prepend::Never;
  else if (scheme == "first")
    metaspace.prepend = Metaspace::Prepend::First;
  else if (!scheme.empty() && scheme != "always")
    return unsupportedPart(part.title() + ": prepend_scheme", scheme,
                           "always, first, never");
  if (!addSpace && metaspace.prepend != Metaspace::Prepend::Never)
    return Status(StatusCode::BadModel,
                  "tokenizer: " + part.title() +
                      ": \"add_prefix_space\" is false, which contradicts "
                      "\"prepend_scheme\" \"" +
                      scheme + "\"");
  return metaspace;
}

} // namespace qopt::runtime
