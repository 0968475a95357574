// From a kernel in the form that lib/Codegen/Host/KernelLoops.h draws to one
// that threads share: the generic way of the GPU, slower than a family's and
// always right. How the work is divided:
//
//   pointwise, and sums across the rows    an element is a thread's, neighbours
//                                          are neighbours' (coalesced)
//   a reduction along the rows             an element is a warp's, or a block's
//                                          where it is long: each thread takes
//                                          every 32nd (256th) part, then they
//                                          combine in a fixed order
//   what has loops already                 all of it is one thread's
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_CODEGEN_CUDA_THREADLOOPS_H
#define QOPT_LIB_CODEGEN_CUDA_THREADLOOPS_H

#include "mlir/IR/AffineMap.h"
#include "mlir/Support/LLVM.h"

namespace mlir::func {
class FuncOp;
} // namespace mlir::func
namespace mlir::gpu {
class GPUModuleOp;
} // namespace mlir::gpu

namespace qopt::codegen {

/// What a launch must know: ceil(extent / perBlock) blocks of `threads`, or no
/// launch where the extent is 0.
struct ThreadRange {
  /// One result over the size arguments as symbols: the number of elements.
  mlir::AffineMap extent;
  int threads;  ///< of a block
  int perBlock; ///< elements that a block computes
};

/// Moves `kernel` into `module` as a gpu.func of its name whose arguments are
/// the buffers and the sizes, without the two indices of a range. Fails with a
/// diagnostic when the function has not the form.
mlir::FailureOr<ThreadRange> lowerToThreads(mlir::func::FuncOp kernel,
                                            mlir::gpu::GPUModuleOp module);

} // namespace qopt::codegen

#endif // QOPT_LIB_CODEGEN_CUDA_THREADLOOPS_H
