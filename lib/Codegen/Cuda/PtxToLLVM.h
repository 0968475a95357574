// From the ptx dialect to inline assembly. An operation without memory effects
// becomes assembly without side effects; every other keeps its place.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_CODEGEN_CUDA_PTXTOLLVM_H
#define QOPT_LIB_CODEGEN_CUDA_PTXTOLLVM_H

namespace mlir {
class Operation;
class RewritePatternSet;
} // namespace mlir

namespace qopt::codegen {

/// Patterns that turn every ptx op into one llvm.inline_asm.
void populatePtxToLLVMPatterns(mlir::RewritePatternSet &patterns);

/// Applies them to all that lies below `root`.
void lowerPtx(mlir::Operation *root);

} // namespace qopt::codegen

#endif // QOPT_LIB_CODEGEN_CUDA_PTXTOLLVM_H
