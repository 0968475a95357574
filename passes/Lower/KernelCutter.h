// Cutting a kernel out of a function: what an op captures becomes operands, the
// op becomes a qopt.generated, and a function on memrefs of the form that
// lib/Codegen/Host/KernelLoops.h draws takes its body. OutlineKernels derives
// one cutter for structured ops and one for loops.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_LOWER_KERNELCUTTER_H
#define QOPT_PASSES_LOWER_KERNELCUTTER_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"

namespace qopt {

class KernelCutter {
public:
  KernelCutter(mlir::Operation *op, mlir::ModuleOp kernels, unsigned number)
      : op(op), b(op), loc(op->getLoc()), kernels(kernels),
        name("kernel_" + std::to_string(number)) {}
  virtual ~KernelCutter() = default;

  /// Makes the kernel and its call in the place of the op; a diagnostic at the
  /// op where that is not possible.
  mlir::LogicalResult run();

protected:
  /// Fills `inputs`, `indices` and `constants`.
  virtual mlir::LogicalResult collect() = 0;
  /// The tensors that have the sizes of the results.
  virtual llvm::SmallVector<mlir::Value> likeResults() = 0;
  /// Writes the body; `views` and `mapping` are ready.
  virtual void writeBody(mlir::OpBuilder &inner) = 0;

  /// Finds a home in the kernel for a value from outside, or for all that the
  /// region uses.
  mlir::LogicalResult collectValue(mlir::Value value);
  mlir::LogicalResult collectRegion(mlir::Region &region);
  /// The view of an input.
  mlir::Value viewOf(mlir::Value input) const;

  /// The element type of a buffer: booleans and what is
  /// narrower than a byte are bytes, 8-bit floats and integers signless ones.
  static mlir::Type storageType(mlir::Type element);
  mlir::Value fromStorage(mlir::OpBuilder &inner, mlir::Value value,
                          mlir::Type type);
  mlir::Value toStorage(mlir::OpBuilder &inner, mlir::Value value);

  mlir::Operation *op;
  mlir::OpBuilder b;
  mlir::Location loc;
  llvm::SetVector<mlir::Value> inputs;
  /// Cloned into the kernel, in order.
  llvm::SmallVector<mlir::Operation *> constants;
  /// Index values that the op uses.
  llvm::SetVector<mlir::Value> indices;
  mlir::func::FuncOp kernel;
  llvm::SmallVector<mlir::Value> views; ///< inputs, then results
  mlir::IRMapping mapping;

private:
  void collectSizes(mlir::Value like, mlir::RankedTensorType type,
                    bool isResult);
  void makeKernel();
  void makeViews(mlir::OpBuilder &inner);
  void makeCall();

  mlir::ModuleOp kernels;
  std::string name;
  llvm::SmallVector<mlir::Value> sizes; ///< indices, then dimensions
  llvm::SmallVector<int64_t> resultSizes;
};

/// Cuts a structured op out: its generic on buffers is the kernel.
mlir::LogicalResult cutGeneric(mlir::linalg::GenericOp op,
                               mlir::ModuleOp kernels, unsigned number);

/// Cuts a loop out that carries one tensor and inserts elements into it: the
/// kernel copies the tensor and then stores, as one undivided piece.
mlir::LogicalResult cutLoop(mlir::scf::ForOp op, mlir::ModuleOp kernels,
                            unsigned number);

} // namespace qopt

#endif // QOPT_PASSES_LOWER_KERNELCUTTER_H
