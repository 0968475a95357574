// Operations of the ptx dialect, the words they are written with, and the
// interface by which they are lowered.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_DIALECTS_PTX_PTXOPS_H
#define QOPT_DIALECTS_PTX_PTXOPS_H

#include "dialects/Ptx/PtxDialect.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/LLVMIR/LLVMTypes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/Ptx/PtxEnums.h.inc"
#include "dialects/Ptx/PtxInterfaces.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/Ptx/PtxAttrs.h.inc"

#define GET_OP_CLASSES
#include "dialects/Ptx/PtxOps.h.inc"

namespace qopt::ptx {

/// "$first, $first+1, …" in braces where there are more than one: the operand
/// of a vector access.
std::string spellVector(unsigned first, unsigned count);

/// The untyped spelling of a register's width: b16, b32 or b64.
std::string spellBits(mlir::Type type);

/// ".global" or ".shared".
std::string spellSpace(mlir::Value address);

} // namespace qopt::ptx

#endif // QOPT_DIALECTS_PTX_PTXOPS_H
