// Inputs whose value is known when the model is compiled: each becomes a
// constant and is none of the function's arguments. What a condition among them
// does not take goes away, so that a file with two models in the branches of an
// If is compiled as either.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_IMPORT_ONNX_FIXEDINPUTS_H
#define QOPT_LIB_IMPORT_ONNX_FIXEDINPUTS_H

#include "mlir/IR/BuiltinAttributes.h"
#include "qopt/Status.h"
#include "llvm/ADT/ArrayRef.h"
#include <map>
#include <string>

namespace qopt::import {

class FixedInputs {
public:
  /// Each entry is "NAME=VALUE".
  static StatusOr<FixedInputs> parse(llvm::ArrayRef<std::string> entries);

  /// What the input `name` of `type` is, or null where it stays an input.
  /// InvalidArgument unless it is one boolean or integer that the type has.
  StatusOr<mlir::ElementsAttr> valueOf(const std::string &name,
                                       mlir::RankedTensorType type) const;

  /// InvalidArgument where an entry names none of the model's inputs.
  Status checkNames(llvm::ArrayRef<std::string> inputs) const;

private:
  std::map<std::string, std::string> values;
};

} // namespace qopt::import

#endif // QOPT_LIB_IMPORT_ONNX_FIXEDINPUTS_H
