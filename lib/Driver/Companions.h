// The files beside a model that say what its graph does not: the longest
// context and the end tokens.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_COMPANIONS_H
#define QOPT_LIB_DRIVER_COMPANIONS_H

#include "qopt/CompileOptions.h"
#include "qopt/Status.h"

namespace qopt::driver {

struct Companions {
  std::string model;     ///< path of the ONNX file
  std::string tokenizer; ///< contents of tokenizer.json; empty: there is none
  int64_t context = 0;   ///< 0: not said
  std::string contextSource; ///< where that is said, for messages
  int64_t beginToken = -1;
  std::vector<int32_t> endTokens;
};

/// Reads what lies beside `options.model`: config.json, generation_config.json,
/// genai_config.json, tokenizer.json (or `options.tokenizer`).
StatusOr<Companions> findCompanions(const CompileOptions &options);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_COMPANIONS_H
