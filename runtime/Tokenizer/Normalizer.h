// The first stage: text → text. Unicode normal forms, replacements, case,
// accents; what a tokenizer.json lists under "normalizer".
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_TOKENIZER_NORMALIZER_H
#define QOPT_RUNTIME_TOKENIZER_NORMALIZER_H

#include "runtime/Tokenizer/GrowthLimit.h"
#include "runtime/Tokenizer/TokenizerFile.h"

#include <memory>
#include <string>
#include <utility>

namespace qopt::runtime {

/// Valid UTF-8 on its way through the stages.
struct NormalizedText {
  explicit NormalizedText(std::string given)
      : text(std::move(given)), limit(text.size()) {}

  std::string text;
  /// How many of its first bytes come from the first character of the input;
  /// Metaspace's "first" asks.
  std::size_t start = 0;
  GrowthLimit limit;

  void become(std::string newText, std::size_t newStart) {
    text = std::move(newText);
    start = newStart;
  }
};

class Normalizer {
public:
  virtual ~Normalizer() = default;
  /// BadModel where the text outgrows its limit; the message names the
  /// normalizer.
  Status apply(NormalizedText &text) const {
    QOPT_RETURN_IF_ERROR(change(text));
    return text.limit.check(text.text.size(), name);
  }

  std::string name; ///< for messages

protected:
  virtual Status change(NormalizedText &text) const = 0;
};

/// From the file's "normalizer"; a sequence becomes one.
StatusOr<std::unique_ptr<Normalizer>>
makeNormalizer(const nlohmann::json &spec);

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_TOKENIZER_NORMALIZER_H
