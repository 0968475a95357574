// How a stage makes its parts from the file: an explicit table from the "type"
// of a part to the function that makes it. A type that is not in the table is
// an error that names it and lists the table.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_TOKENIZER_PARTTABLE_H
#define QOPT_RUNTIME_TOKENIZER_PARTTABLE_H

#include "runtime/Tokenizer/Regex.h"
#include "runtime/Tokenizer/TokenizerFile.h"

namespace qopt::runtime {

/// A part in messages: `normalizer "Strip"`.
inline std::string titleOf(const char *kind, const nlohmann::json &spec) {
  std::string type;
  (void)Part(spec, kind).type(type); // whoever reads the part reports that
  return std::string(kind) + " \"" + type + "\"";
}

/// `table` has rows with `type` and `make(part, spec)`; `kind` is the stage as
/// the file spells it.
template <typename Made, typename Row, std::size_t N>
StatusOr<Made> makePart(const char *kind, const nlohmann::json &spec,
                        const Row (&table)[N]) {
  std::string type;
  QOPT_RETURN_IF_ERROR(Part(spec, kind).type(type));
  std::string supported;
  for (const Row &row : table) {
    if (type == row.type)
      return row.make(Part(spec, titleOf(kind, spec)), spec);
    supported += (supported.empty() ? "" : ", ") + std::string(row.type);
  }
  return unsupportedPart(kind, type, supported);
}

/// The steps of a "Sequence", a list in `field`: each is made by `make(spec)`,
/// which gives a StatusOr, and handed to `use` in their order.
template <typename Make, typename Use>
Status makeSteps(const Part &part, const char *field, Make make, Use use) {
  const nlohmann::json *steps = part.find(field);
  if (!steps || !steps->is_array())
    return part.wrong(field, "a list");
  for (const nlohmann::json &step : *steps) {
    auto made = make(step);
    if (!made)
      return made.status();
    use(std::move(*made));
  }
  return {};
}

/// The field "pattern": {"String": …} or {"Regex": …}.
inline StatusOr<Pattern> readPattern(const Part &part) {
  const nlohmann::json *pattern = part.find("pattern");
  std::string text;
  if (pattern && Part(*pattern, "").read("String", text).ok())
    return Pattern::literal(text);
  if (pattern && Part(*pattern, "").read("Regex", text).ok())
    return Pattern::regex(text);
  return part.wrong("pattern", "{\"String\": text} or {\"Regex\": text}");
}

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_TOKENIZER_PARTTABLE_H
