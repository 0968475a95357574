// Cutting and padding of one text's ids.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/Tokenizer/Lengths.h"

#include <string>

namespace qopt::runtime {

using nlohmann::json;

/// "direction" as the file spells it.
static Status readEnd(const Part &part, TextEnd &end) {
  std::string name;
  QOPT_RETURN_IF_ERROR(part.read("direction", name));
  if (name != "Left" && name != "Right")
    return part.wrong("direction", "\"Left\" or \"Right\"");
  end = name == "Left" ? TextEnd::Left : TextEnd::Right;
  return {};
}

StatusOr<Truncation> Truncation::read(const json &spec) {
  Part part(spec, "truncation");
  Truncation truncation;
  std::string strategy;
  QOPT_RETURN_IF_ERROR(part.read("max_length", truncation.maxLength));
  QOPT_RETURN_IF_ERROR(part.read("stride", truncation.stride));
  QOPT_RETURN_IF_ERROR(part.read("strategy", strategy));
  if (part.find("direction"))
    QOPT_RETURN_IF_ERROR(readEnd(part, truncation.direction));
  truncation.onlySecond = strategy == "OnlySecond";
  if (strategy != "LongestFirst" && strategy != "OnlyFirst" &&
      !truncation.onlySecond)
    return part.wrong("strategy",
                      "\"LongestFirst\", \"OnlyFirst\" or \"OnlySecond\"");
  return truncation;
}

Status Truncation::apply(std::vector<std::int32_t> &ids, std::size_t from,
                         std::size_t around) const {
  if (around > maxLength)
    return Status(StatusCode::Unsupported,
                  "tokenizer: truncation: \"max_length\" is " +
                      std::to_string(maxLength) +
                      ", less than the number of tokens that stand around a "
                      "text, " +
                      std::to_string(around));
  std::uint64_t kept = maxLength - around;
  std::size_t count = ids.size() - from;
  if (count <= kept)
    return {};
  if (onlySecond && kept > 0)
    return Status(StatusCode::Unsupported,
                  "tokenizer: truncation: strategy \"OnlySecond\" cuts the "
                  "second of two texts; this one text has " +
                      std::to_string(count) + " tokens and may have " +
                      std::to_string(kept));
  // The reference cuts the rest into parts that overlap by `stride`.
  if (stride >= kept && kept > 0)
    return Status(StatusCode::Unsupported,
                  "tokenizer: truncation: \"stride\" is " +
                      std::to_string(stride) + "; expected less than the " +
                      std::to_string(kept) + " tokens that remain of a text");
  auto begin = ids.begin() + std::ptrdiff_t(from);
  if (direction == TextEnd::Left)
    ids.erase(begin, ids.end() - std::ptrdiff_t(kept));
  else
    ids.erase(begin + std::ptrdiff_t(kept), ids.end());
  return {};
}

/// "strategy": "BatchLongest", which leaves one text as long as it is, or
/// {"Fixed": length}.
static Status readPaddedLength(const Part &part,
                               std::optional<std::uint64_t> &length) {
  const json *strategy = part.find("strategy");
  if (strategy && strategy->is_string() &&
      *strategy->get_ptr<const std::string *>() == "BatchLongest")
    return {};
  if (!strategy || !strategy->is_object() || strategy->size() != 1 ||
      !strategy->contains("Fixed"))
    return part.wrong("strategy", "\"BatchLongest\" or {\"Fixed\": length}");
  return Part(*strategy, part.title() + " strategy")
      .read("Fixed", length.emplace());
}

StatusOr<Padding> Padding::read(const json &spec) {
  Part part(spec, "padding");
  Padding padding;
  std::uint64_t id = 0;
  QOPT_RETURN_IF_ERROR(readPaddedLength(part, padding.length));
  if (part.find("pad_to_multiple_of"))
    QOPT_RETURN_IF_ERROR(part.read("pad_to_multiple_of", padding.multiple));
  QOPT_RETURN_IF_ERROR(part.read("pad_id", id));
  QOPT_RETURN_IF_ERROR(readEnd(part, padding.direction));
  // As many tokens as there are ids: a bound on what a file makes us allocate.
  std::uint64_t length = padding.length.value_or(0);
  if (length >= idLimit || padding.multiple >= idLimit || id >= idLimit)
    return Status(StatusCode::BadModel,
                  "tokenizer: padding: to " + std::to_string(length) +
                      " tokens and a multiple of " +
                      std::to_string(padding.multiple) + " with the id " +
                      std::to_string(id) + "; expected numbers below " +
                      std::to_string(idLimit));
  padding.id = static_cast<std::int32_t>(id);
  return padding;
}

void Padding::apply(std::vector<std::int32_t> &ids) const {
  std::size_t size = length.value_or(ids.size());
  if (multiple > 0 && size % multiple > 0)
    size += multiple - size % multiple;
  if (size <= ids.size())
    return;
  ids.insert(direction == TextEnd::Left ? ids.begin() : ids.end(),
             size - ids.size(), id);
}

} // namespace qopt::runtime
