// The sizes of a graph's inputs as symbols of its plan. Sizes of one name are
// one symbol, and "a + b" is the sum of a and b: kernels rely on that, and the
// runtime checks it when inputs are bound.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_INPUTSIZES_H
#define QOPT_LIB_DRIVER_INPUTSIZES_H

#include "lib/Driver/SizeSymbols.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace qopt::driver {

/// For each tensor argument of `func`, in their order, the symbols of its
/// sizes.
std::vector<std::vector<uint32_t>> inputSizes(mlir::func::FuncOp func,
                                              SizeSymbols &symbols);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_INPUTSIZES_H
