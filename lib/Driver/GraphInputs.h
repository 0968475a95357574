// The inputs and outputs of a raised graph as its artifact will describe them,
// for who reads samples of them before there is one.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_GRAPHINPUTS_H
#define QOPT_LIB_DRIVER_GRAPHINPUTS_H

#include "mlir/IR/BuiltinOps.h"
#include "qopt/Artifact.h"
#include <vector>

namespace qopt::driver {

/// Of a raised model that is no decoder; sizes without a name are "?".
std::vector<TensorSpec> graphInputs(mlir::ModuleOp raised);
std::vector<TensorSpec> graphOutputs(mlir::ModuleOp raised);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_GRAPHINPUTS_H
