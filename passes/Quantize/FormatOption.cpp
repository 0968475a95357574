// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Quantize/FormatOption.h"

using namespace mlir;

LogicalResult qopt::passes::readFormat(Operation *at, StringRef option,
                                       const std::string &text,
                                       std::optional<quant::Format> &format) {
  if (text.empty())
    return success();
  StatusOr<quant::Format> parsed = quant::parseFormat(text);
  if (!parsed.ok())
    return at->emitError() << "option \"" << option
                           << "\": " << parsed.status().message();
  format = *parsed;
  return success();
}
