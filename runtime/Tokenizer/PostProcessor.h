// The last stage of encoding: the tokens that a model expects around a text,
// such as [CLS] … [SEP] or a leading <s>. Only single texts are encoded here,
// so of a template for pairs nothing is read.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_TOKENIZER_POSTPROCESSOR_H
#define QOPT_RUNTIME_TOKENIZER_POSTPROCESSOR_H

#include "runtime/Tokenizer/TokenizerFile.h"

#include <cstdint>
#include <vector>

namespace qopt::runtime {

/// The ids before and behind the text.
struct Surroundings {
  std::vector<std::int32_t> before, behind;
};

/// From the file's "post_processor".
StatusOr<Surroundings> readPostProcessor(const nlohmann::json &spec);

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_TOKENIZER_POSTPROCESSOR_H
