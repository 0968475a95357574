// What a weight is called in messages, reports and overrides.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_RAISE_WEIGHTNAME_H
#define QOPT_PASSES_RAISE_WEIGHTNAME_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Location.h"
#include <string>

namespace qopt::onnx {

/// The name that a user knows a weight by: the initializer's, or, where the
/// exporter left only a number there, the name of the node that uses it.
std::string weightName(mlir::ElementsAttr data, mlir::Location user);

} // namespace qopt::onnx

#endif // QOPT_PASSES_RAISE_WEIGHTNAME_H
