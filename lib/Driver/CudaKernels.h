// The GPU kernels of one artifact while its plan is built: each is generated
// once for each architecture; then all are made PTX and, where there is an
// assembler, machine code, and written as one code segment an architecture.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_CUDAKERNELS_H
#define QOPT_LIB_DRIVER_CUDAKERNELS_H

#include "dialects/QOpt/QOptAttrs.h"
#include "lib/Codegen/Cuda/Ptxas.h"
#include "lib/Codegen/Cuda/ThreadLoops.h"
#include "lib/Target/Target.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "qopt/Compiler.h"
#include "runtime/ArtifactWriter.h"
#include "runtime/plan/Plan_generated.h"
#include "llvm/ADT/StringMap.h"

#include <optional>
#include <vector>

namespace qopt::driver {

class CudaKernels {
public:
  /// Whether code is wanted, or only what is predicted of kernels.
  enum class Purpose { Code, Predictions };
  /// Attention is predicted for a sequence of `context` positions; 0: none.
  CudaKernels(mlir::MLIRContext &mlir,
              llvm::ArrayRef<const target::Target *> targets, int64_t context,
              Purpose purpose = Purpose::Code);

  int64_t predictedContext() const { return context; }

  size_t targets() const { return architectures.size(); }
  const target::Target &target(size_t index) const {
    return *architectures[index].target;
  }

  using Build = llvm::function_ref<StatusOr<mlir::gpu::GPUFuncOp>(
      mlir::gpu::GPUModuleOp)>;
  /// A family, its schedule and the most tokens that this is for.
  struct Selected {
    std::string family;
    mlir::DictionaryAttr schedule;
    int64_t most = 0;
  };
  static Selected selectedBy(ir::KernelAttr kernel) {
    return {ir::stringifyKernelFamily(kernel.getFamily()).str(),
            kernel.getSchedule(), kernel.getMost()};
  }
  /// Block, reason, prediction and its tokens.
  using Describe = llvm::function_ref<KernelSummary()>;
  /// Makes the kernel `symbol` for an architecture, unless it is there already.
  Status add(size_t target, const Selected &selected, llvm::StringRef symbol,
             Describe describe, Build build);
  /// Makes the kernel `symbol` of a function of linalg (KernelLoops.h draws its
  /// form), which stays as it is, and says how it is launched. Fails with a
  /// diagnostic at the function.
  mlir::FailureOr<codegen::ThreadRange>
  addGeneric(size_t target, llvm::StringRef symbol, mlir::func::FuncOp kernel);

  /// How many kernels addGeneric has made for one architecture.
  int64_t genericKernels() const {
    return int64_t(architectures.front().generic.size());
  }

  /// The kernels as MLIR, an architecture behind the other.
  std::string gpu() const;

  /// Makes PTX and, with an assembler, machine code, which must be clean: no
  /// spill, no local memory. A remark says where there is no assembler.
  Status assemble(unsigned threads, CompileSummary &summary);

  // After assemble:

  /// PTX, or the disassembly of the machine code, of all architectures.
  std::string ptx() const;
  StatusOr<std::string> sass() const;

  /// What is known of all kernels, and of a decode step at the context where
  /// that is not 0. `plan` is as it was built, not yet written.
  void summarize(const plan::FunctionT &plan, CompileSummary &summary) const;

  /// Writes the code segments and sets those of the variants in `plan`, which
  /// have the architecture's index so far.
  Status
  write(runtime::ArtifactWriter &writer, plan::FunctionT &plan,
        std::vector<std::unique_ptr<plan::KernelRecordT>> &records) const;

private:
  struct Architecture {
    const target::Target *target;
    mlir::OwningOpRef<mlir::ModuleOp> module;
    mlir::gpu::GPUModuleOp kernels;
    llvm::StringMap<size_t> symbols; ///< index of what follows
    std::vector<mlir::DictionaryAttr> schedules;
    std::vector<KernelSummary> summaries;
    llvm::StringMap<codegen::ThreadRange> generic;
    std::string ptx;
    std::optional<codegen::Assembly> assembly;
  };
  static void addResources(Architecture &architecture);

  int64_t context;
  Purpose purpose;
  std::vector<Architecture> architectures;
  Status noAssembler; ///< why there is no machine code; ok where there is
};

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_CUDAKERNELS_H
