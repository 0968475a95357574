// From tokens to text, a token at a time: a chain of steps, each of which
// passes on what later tokens cannot change any more. Decoding a whole list is
// the same chain run to its end, so a stream gives the same text as the whole.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_TOKENIZER_DECODER_H
#define QOPT_RUNTIME_TOKENIZER_DECODER_H

#include "runtime/Tokenizer/TokenizerFile.h"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace qopt::runtime {

/// What a step hands to the next: tokens, each as one or more chunks of valid
/// UTF-8 and an end.
class DecodeStep {
public:
  virtual ~DecodeStep() = default;
  virtual void chunk(std::string_view text) = 0;
  virtual void endToken() = 0;
  /// No token follows.
  virtual void finish() = 0;

  DecodeStep *next = nullptr; ///< null only for the last, which collects
};

using DecodeStepMaker = std::function<std::unique_ptr<DecodeStep>()>;

/// The steps of the file's "decoder", flattened; null (no decoder) joins the
/// tokens with spaces.
StatusOr<std::vector<DecodeStepMaker>> readDecoder(const nlohmann::json *spec);

/// A chain in use.
class DecodeChain {
public:
  explicit DecodeChain(const std::vector<DecodeStepMaker> &makers);

  void push(std::string_view token);
  void finish();
  /// What has become certain since the last call.
  std::string take();

private:
  std::vector<std::unique_ptr<DecodeStep>> steps;
  std::string *collected;
};

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_TOKENIZER_DECODER_H
