// Registration of the dialect's types, attributes and operations.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/QOptDialect.h"
#include "dialects/QOpt/QOptOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace qopt::ir;

#include "dialects/QOpt/QOptDialect.cpp.inc"

#include "dialects/QOpt/QOptInterfaces.cpp.inc"

void QOptDialect::initialize() {
  registerAttributes();
  registerTypes();
  addOperations<
#define GET_OP_LIST
#include "dialects/QOpt/QOptOps.cpp.inc"
      >();
}
