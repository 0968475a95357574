// Elementary functions in generated host code: `math` ops become calls of the
// functions in HostMath.c, and the bitcode of those functions is linked into
// the module that calls them. Nothing here decides accuracy; HostMath.c does.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_CODEGEN_HOST_HOSTMATHCALLS_H
#define QOPT_LIB_CODEGEN_HOST_HOSTMATHCALLS_H

#include "lib/Codegen/Host/HostTarget.h"
#include "mlir/Support/LLVM.h"

namespace mlir {
class ModuleOp;
} // namespace mlir
namespace llvm {
class Module;
} // namespace llvm

namespace qopt::codegen {

/// Replaces the scalar math ops of `module` (f32 and f64; narrower types are
/// widened before) that HostMath.c implements by calls, `arith.remf` included,
/// and f16 conversions where `target` lacks the instruction. Ops that are one
/// instruction (sqrt, floor, fma, …) stay.
mlir::LogicalResult insertMathCalls(mlir::ModuleOp module,
                                    const HostTarget &target);

/// Links the called functions into `module` as internal, always inlined
/// definitions for the module's own target.
mlir::LogicalResult linkHostMath(llvm::Module &module);

} // namespace qopt::codegen

#endif // QOPT_LIB_CODEGEN_HOST_HOSTMATHCALLS_H
