// The steps inside MLIR from kernels in the gpu dialect to the LLVM dialect.
// The order and what is checked before is CudaCodegen's.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_CODEGEN_CUDA_DEVICELOWERING_H
#define QOPT_LIB_CODEGEN_CUDA_DEVICELOWERING_H

#include "mlir/Support/LLVM.h"

namespace mlir {
class DialectRegistry;
class ModuleOp;
class OpPassManager;
class Operation;
} // namespace mlir

namespace qopt::codegen {

/// The dialects and interfaces that the steps need.
void registerDeviceLowering(mlir::DialectRegistry &registry);

/// Replaces elementary functions by those of the host device, computed in f32
/// where they are asked for f16 or bf16; fma and abs stay as they are.
mlir::LogicalResult lowerDeviceMath(mlir::Operation *root);

/// MLIR's passes ahead of lowerDeviceMath, for a gpu.module: views of memrefs
/// become arithmetic.
void addViewLowering(mlir::OpPassManager &kernels);
/// Those behind it: everything becomes the LLVM dialect, memref arguments bare
/// pointers.
void addDeviceLLVM(mlir::OpPassManager &kernels);
/// Makes the passes of both known to `--pass-pipeline`.
void registerDeviceLoweringPasses();

/// Everything in the gpu.modules of `kernels` becomes the LLVM dialect:
/// lowerPtx, addViewLowering, lowerDeviceMath, addDeviceLLVM. Several modules
/// are lowered at once where the context has threads.
mlir::LogicalResult lowerToDeviceLLVM(mlir::ModuleOp kernels);

} // namespace qopt::codegen

#endif // QOPT_LIB_CODEGEN_CUDA_DEVICELOWERING_H
