// A pass's option that holds a format.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_QUANTIZE_FORMATOPTION_H
#define QOPT_PASSES_QUANTIZE_FORMATOPTION_H

#include "lib/Quant/Format.h"
#include "mlir/IR/Operation.h"
#include <optional>
#include <string>

namespace qopt::passes {

/// Reads the format that `text`, the value of `option`, spells; an empty one is
/// none. Fails with an error at `at` that names the option.
mlir::LogicalResult readFormat(mlir::Operation *at, llvm::StringRef option,
                               const std::string &text,
                               std::optional<quant::Format> &format);

} // namespace qopt::passes

#endif // QOPT_PASSES_QUANTIZE_FORMATOPTION_H
