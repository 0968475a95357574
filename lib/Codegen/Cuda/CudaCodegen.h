// PTX for a module of kernels. A kernel is a gpu.func with the attribute
// `kernel`, in a gpu.module, whose body uses gpu, nvvm, ptx, llvm, scf, cf,
// arith, math, memref and vector:
//
// clang-format off
//   gpu.module @kernels {
//     gpu.func @scale(%x: !llvm.ptr<1> {llvm.noalias, llvm.align = 16}, %n: i32) kernel
//         attributes {known_block_size = array<i32: 128, 1, 1>, nvvm.minctasm = 4 : i32} { … }
//   }
// clang-format on
//
// Each kernel says its block size and how many blocks an SM shall hold, for
// without them ptxas guesses its registers. Memrefs become bare pointers. A
// symbol must be neutral: ptxas changes its heuristics on some words.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_CODEGEN_CUDA_CUDACODEGEN_H
#define QOPT_LIB_CODEGEN_CUDA_CUDACODEGEN_H

#include "lib/Codegen/CodeCache.h"
#include "lib/Codegen/Cuda/ThreadLoops.h"
#include "lib/Target/Target.h"
#include "mlir/Support/LLVM.h"

#include <array>
#include <string>
#include <vector>

namespace mlir {
class DialectRegistry;
class ModuleOp;
namespace gpu {
class GPUModuleOp;
} // namespace gpu
} // namespace mlir

namespace qopt::codegen {

/// What a launch must know of one kernel.
struct PtxKernel {
  std::string symbol;
  std::array<int, 3> block; ///< threads
  int minBlocks;            ///< blocks of an SM that registers are left for
};

/// PTX text and the kernels in it, in the order of the module.
struct PtxModule {
  std::string text;
  int ptxVersion; ///< major · 10 + minor, as in `.version`
  std::vector<PtxKernel> kernels;
};

/// The dialects and interfaces that code generation needs; a context that has
/// run no pass yet may also get them from generatePtx itself.
void registerCudaCodegen(mlir::DialectRegistry &registry);

/// The kernels as text, which qopt-opt reads: a module of MLIR behind a comment
/// that names the target and the next steps.
std::string printKernels(mlir::gpu::GPUModuleOp module,
                         const target::Target &target);

/// PTX for all kernels of `module`, which stays as it is; those that `cache`
/// has are not made again. Fails with a diagnostic at the op that cannot be
/// compiled for `target`.
mlir::FailureOr<PtxModule> generatePtx(mlir::gpu::GPUModuleOp module,
                                       const target::Target &target,
                                       const CodeCache &cache);

/// A kernel of the generic way: its buffers, then its sizes as 64-bit integers,
/// in the order of the function's arguments.
struct GenericKernel {
  std::string symbol;
  unsigned buffers; ///< pointers
  unsigned sizes;   ///< integers
  ThreadRange range;
};

/// PTX and what is in it, in the order of the module.
struct CudaCode {
  PtxModule ptx;
  std::vector<GenericKernel> kernels;
};

/// Compiles every function of `kernels` (functions of one linalg.generic each:
/// lib/Codegen/Host/KernelLoops.h draws their form), which stays as it is.
/// Fails with a diagnostic at the function that cannot be compiled.
mlir::FailureOr<CudaCode> generateCudaCode(mlir::ModuleOp kernels,
                                           const target::Target &target,
                                           const CodeCache &cache);

} // namespace qopt::codegen

#endif // QOPT_LIB_CODEGEN_CUDA_CUDACODEGEN_H
