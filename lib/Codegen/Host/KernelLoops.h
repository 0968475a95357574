// The step from a structured op to loops. A kernel is a function of the form
// that is drawn here, made by OutlineKernels:
//
// clang-format off
//   func.func @k(%b0: memref<f32>, …, %n0: index, …, %begin: index, %end: index) {
//     %0 = memref.reinterpret_cast %b0 to offset: [0], sizes: [%n0, 64], strides: [64, 1] : …
//     linalg.fill …                  // the starting value of a reduction
//     linalg.generic …               // exactly one
//     return
//   }
// clang-format on
//
// Buffers come as rank-0 memrefs, sizes as indices, and [begin, end) is a piece
// of the kernel's iteration space: the product of all parallel dimensions,
// row-major. Pieces may be computed in any order and at the same time; together
// they are the whole result. A piece writes nothing that another piece writes
// or reads. A function with the attribute qopt.undivided has loops already and
// does all its work where begin < end: its range has one iteration.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_CODEGEN_HOST_KERNELLOOPS_H
#define QOPT_LIB_CODEGEN_HOST_KERNELLOOPS_H

#include "mlir/IR/AffineMap.h"
#include "mlir/Support/LLVM.h"

namespace mlir::func {
class FuncOp;
} // namespace mlir::func

namespace qopt::codegen {

/// What a caller must know to split a kernel's work.
struct KernelRange {
  /// One result over the size arguments as symbols: the number of iterations.
  mlir::AffineMap extent;
  /// Iterations that are worth a task of their own (about 10 µs of work).
  int64_t grain = 1;
};

/// Replaces the linalg ops of `kernel` by scf loops over [begin, end). Fails
/// with a diagnostic when the function has not the form above.
mlir::FailureOr<KernelRange> lowerToRangeLoops(mlir::func::FuncOp kernel);

} // namespace qopt::codegen

#endif // QOPT_LIB_CODEGEN_HOST_KERNELLOOPS_H
