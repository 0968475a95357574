// The table of dialects: one row each.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/AllDialects.h"
#include "dialects/Onnx/OnnxDialect.h"
#include "dialects/Ptx/PtxDialect.h"
#include "dialects/QOpt/QOptDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Tensor/IR/TensorInferTypeOpInterfaceImpl.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/DialectRegistry.h"

void qopt::registerAllDialects(mlir::DialectRegistry &registry) {
  registry.insert<
      // qopt's own
      onnx::OnnxDialect, ptx::PtxDialect, ir::QOptDialect,
      // tensors and what is generated from them
      mlir::arith::ArithDialect, mlir::func::FuncDialect,
      mlir::linalg::LinalgDialect, mlir::math::MathDialect,
      mlir::tensor::TensorDialect,
      // loops, memory and machine code
      mlir::cf::ControlFlowDialect, mlir::LLVM::LLVMDialect,
      mlir::memref::MemRefDialect, mlir::scf::SCFDialect,
      mlir::vector::VectorDialect,
      // kernels
      mlir::gpu::GPUDialect, mlir::NVVM::NVVMDialect>();
  // Sizes of reshaped tensors as code.
  mlir::tensor::registerInferTypeOpInterfaceExternalModels(registry);
}
