// How many tokens a text may and must have: "truncation" and "padding" of a
// tokenizer.json, for one text at a time. They serve models of one fixed or
// longest length; what a model continues is neither cut nor padded
// (Tokenizer::encodeWhole).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_TOKENIZER_LENGTHS_H
#define QOPT_RUNTIME_TOKENIZER_LENGTHS_H

#include "runtime/Tokenizer/TokenizerFile.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace qopt::runtime {

/// The end of a text where tokens go or come.
enum class TextEnd { Left, Right };

class Truncation {
public:
  /// From the file's "truncation".
  static StatusOr<Truncation> read(const nlohmann::json &spec);

  /// Cuts what stands behind the first `from` of `ids` so that with the tokens
  /// around the text, `around` in number, no more than max_length remain.
  /// Unsupported where the file's rule has no answer for one text.
  Status apply(std::vector<std::int32_t> &ids, std::size_t from,
               std::size_t around) const;

private:
  std::uint64_t maxLength = 0;
  std::uint64_t stride = 0; ///< shared by the parts that are cut off, not kept
  bool onlySecond = false;  ///< only the second of two texts is cut
  TextEnd direction = TextEnd::Right;
};

class Padding {
public:
  /// From the file's "padding".
  static StatusOr<Padding> read(const nlohmann::json &spec);

  void apply(std::vector<std::int32_t> &ids) const;

  std::int32_t padId() const { return id; }

private:
  std::optional<std::uint64_t> length; ///< nothing: as long as the text
  std::uint64_t multiple = 0;          ///< of which it is one; 0: any length
  std::int32_t id = 0;
  TextEnd direction = TextEnd::Right;
};

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_TOKENIZER_LENGTHS_H
