// The files beside a model that say what its graph does not: the longest
// context, the end tokens, how tokens are chosen, and how messages become a
// prompt.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_COMPANIONS_H
#define QOPT_LIB_DRIVER_COMPANIONS_H

#include "qopt/CompileOptions.h"
#include "qopt/Sampling.h"
#include "qopt/Status.h"
#include "llvm/ADT/StringRef.h"

#include <optional>

namespace qopt::driver {

/// A token id as a file has it.
struct NamedToken {
  std::string file, key;
  int64_t id;
};

struct Companions {
  std::string model;     ///< path of the ONNX file
  std::string tokenizer; ///< contents of tokenizer.json; empty: there is none
  std::string family;    ///< as config.json calls it: "llama"; may be empty
  int64_t context = 0;   ///< 0: not said
  std::string contextSource; ///< where that is said, for messages
  int64_t beginToken = -1;
  int64_t startToken = -1; ///< that an encoder-decoder's text begins with
  std::vector<int32_t> endTokens;
  /// All of every file: begin, end and padding.
  std::vector<NamedToken> tokens;
  std::optional<SamplingOptions> sampling; ///< where a file speaks of it
  std::string chatTemplate;                ///< Jinja; empty: there is none
};

/// Reads what lies beside `options.model`: config.json, generation_config.json,
/// genai_config.json, tokenizer.json (or `options.tokenizer`),
/// tokenizer_config.json, special_tokens_map.json, chat_template.jinja. Of a
/// model in a folder "onnx" also what lies beside that folder, as on the
/// Hugging Face hub. BadModel names the file and the key that cannot be read.
StatusOr<Companions> findCompanions(const CompileOptions &options);

/// BadModel for a value of a companion that is there and not null, but not what
/// is `expected` of its key.
Status wrongKind(const std::string &path, llvm::StringRef key,
                 llvm::StringRef expected);

/// BadModel, naming file and key, where one of the files' tokens is none of the
/// model's `vocabulary`.
Status checkTokens(const Companions &companions, int64_t vocabulary);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_COMPANIONS_H
