// Operations and op interfaces of the qopt dialect.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_DIALECTS_QOPT_QOPTOPS_H
#define QOPT_DIALECTS_QOPT_QOPTOPS_H

#include "dialects/QOpt/QOptDialect.h"
#include "dialects/QOpt/QOptTypes.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/QOpt/QOptInterfaces.h.inc"

#define GET_OP_CLASSES
#include "dialects/QOpt/QOptOps.h.inc"

#endif // QOPT_DIALECTS_QOPT_QOPTOPS_H
