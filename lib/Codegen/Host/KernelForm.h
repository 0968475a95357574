// What code generators for different machines share of a kernel in the form
// that KernelLoops.h draws: reading the form, and the evaluation of its one
// linalg.generic at one place of the iteration space. Loops, threads and pieces
// are the generators' own.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_CODEGEN_HOST_KERNELFORM_H
#define QOPT_LIB_CODEGEN_HOST_KERNELFORM_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/AffineMap.h"
#include "mlir/IR/Builders.h"

namespace mlir::func {
class FuncOp;
} // namespace mlir::func

namespace qopt::codegen {

/// A kernel without its fills.
struct KernelForm {
  /// Null where the function has loops already (qopt.undivided), or computes
  /// nothing.
  mlir::linalg::GenericOp generic;
  /// The scalar that each output is filled with before, or null where its
  /// present content counts.
  llvm::SmallVector<mlir::Value> starts;
  /// One result over the size arguments as symbols: the number of iterations.
  mlir::AffineMap extent;
  unsigned buffers = 0, sizes = 0; ///< arguments of each kind
};

/// Reads the form and erases the fills. Fails with a diagnostic when the
/// function has not the form.
mlir::FailureOr<KernelForm> readKernelForm(mlir::func::FuncOp kernel);

/// The size of iteration dimension `dim`, read off an operand it indexes alone;
/// null where there is none.
mlir::OpFoldResult loopSize(mlir::OpBuilder &builder,
                            mlir::linalg::GenericOp op, unsigned dim);

/// Allows the reassociation of sums (the one place where generated code leaves
/// the order of the source) and merges neighbouring dimensions that every
/// operand walks as one, so that rows become long. Returns what replaces `op`.
mlir::linalg::GenericOp simplifyDimensions(mlir::linalg::GenericOp op);

/// Evaluates one generic at `indices`, which the derived writer sets.
class ElementWriter {
protected:
  ElementWriter(mlir::linalg::GenericOp op,
                llvm::SmallVector<mlir::Value> starts);

  mlir::Value constant(int64_t value) {
    return mlir::arith::ConstantIndexOp::create(b, loc, value);
  }

  /// The place in an operand.
  llvm::SmallVector<mlir::Value> position(mlir::AffineMap map);
  /// One evaluation of the region; the accumulators after it.
  llvm::SmallVector<mlir::Value> body(llvm::ArrayRef<mlir::Value> accumulators);
  /// What the outputs hold in memory.
  llvm::SmallVector<mlir::Value> loadAccumulators();
  /// What the outputs hold before the first evaluation; null where the region
  /// does not ask.
  llvm::SmallVector<mlir::Value> startValues();
  void store(llvm::ArrayRef<mlir::Value> values);

  mlir::linalg::GenericOp op;
  mlir::OpBuilder b;
  mlir::Location loc;
  llvm::SmallVector<mlir::Value> starts;
  /// Of every iteration dimension; the indices start as zeros.
  llvm::SmallVector<mlir::Value> sizes, indices;
};

} // namespace qopt::codegen

#endif // QOPT_LIB_CODEGEN_HOST_KERNELFORM_H
