// The GPU kernels of one artifact while its plan is built: each is generated
// once for each architecture, and written as one code segment an architecture
// at the end, as PTX and as machine code where there is an assembler.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_CUDAKERNELS_H
#define QOPT_LIB_DRIVER_CUDAKERNELS_H

#include "lib/Codegen/Cuda/ThreadLoops.h"
#include "lib/Target/Target.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "qopt/Compiler.h"
#include "runtime/ArtifactWriter.h"
#include "runtime/plan/Plan_generated.h"
#include "llvm/ADT/StringSet.h"

#include <vector>

namespace qopt::driver {

class CudaKernels {
public:
  CudaKernels(mlir::MLIRContext &context,
              std::vector<const target::Target *> targets);

  size_t targets() const { return architectures.size(); }
  const target::Target &target(size_t index) const {
    return *architectures[index].target;
  }

  using Build = llvm::function_ref<StatusOr<mlir::gpu::GPUFuncOp>(
      mlir::gpu::GPUModuleOp)>;
  /// Makes the kernel `symbol` for an architecture, unless it is there already.
  Status add(size_t target, llvm::StringRef symbol, Build build);
  /// Makes the kernel `symbol` of a function of linalg (KernelLoops.h draws its
  /// form), which stays as it is, and says how it is launched. Fails with a
  /// diagnostic at the function.
  mlir::FailureOr<codegen::ThreadRange>
  addGeneric(size_t target, llvm::StringRef symbol, mlir::func::FuncOp kernel);

  /// How many kernels addGeneric has made for one architecture.
  int64_t genericKernels() const {
    return int64_t(architectures.front().generic.size());
  }

  /// PTX of all architectures, one after the other.
  StatusOr<std::string> ptx() const;

  /// Writes the code segments and sets those of the variants in `plan`, which
  /// have the architecture's index so far.
  Status write(runtime::ArtifactWriter &writer, plan::FunctionT &plan,
               CompileSummary &summary) const;

private:
  struct Architecture {
    const target::Target *target;
    mlir::OwningOpRef<mlir::ModuleOp> module;
    mlir::gpu::GPUModuleOp kernels;
    llvm::StringSet<> symbols;
    llvm::StringMap<codegen::ThreadRange> generic;
  };
  StatusOr<std::vector<uint8_t>> imagesOf(const Architecture &architecture,
                                          CompileSummary &summary) const;

  std::vector<Architecture> architectures;
};

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_CUDAKERNELS_H
