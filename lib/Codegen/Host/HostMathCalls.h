// Elementary functions in generated code: `math` ops become calls of the
// functions in HostMath.c, and the bitcode of those functions is linked into
// the module that calls them, for whatever machine it is made. Nothing here
// decides accuracy; HostMath.c does.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_CODEGEN_HOST_HOSTMATHCALLS_H
#define QOPT_LIB_CODEGEN_HOST_HOSTMATHCALLS_H

#include "mlir/Support/LLVM.h"

namespace mlir {
class Operation;
class RewritePatternSet;
} // namespace mlir
namespace llvm {
class Module;
} // namespace llvm

namespace qopt::codegen {

/// Whether f16 <-> f32 conversion is an instruction of the target.
enum class HalfConversion { Instruction, Call };

/// Patterns that replace scalar math ops (f32 and f64; narrower types are
/// widened before) that HostMath.c implements by calls, `arith.remf` included,
/// and f16 conversions where they are calls. The functions are declared in the
/// nearest symbol table. Ops that are one instruction (sqrt, floor, fma, …)
/// stay.
void populateMathCalls(mlir::RewritePatternSet &patterns,
                       HalfConversion conversion);

/// Applies them to all that lies below `root`.
mlir::LogicalResult insertMathCalls(mlir::Operation *root,
                                    HalfConversion conversion);

/// Links the called functions into `module` as internal, always inlined
/// definitions for the module's own target.
mlir::LogicalResult linkHostMath(llvm::Module &module);

} // namespace qopt::codegen

#endif // QOPT_LIB_CODEGEN_HOST_HOSTMATHCALLS_H
