// The plan is built as for an artifact, over a pool that gives constants sizes
// and no place.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/CudaEmission.h"

#include "lib/Driver/CudaSampling.h"
#include "lib/Driver/CudaSteps.h"

#include <thread>

using namespace mlir;

namespace qopt::driver {

namespace {
/// Nothing is stored, nor read, as the text of IR has no large constants: only
/// the plan's kernels are wanted.
class NoConstants : public ConstantPool {
public:
  StatusOr<ConstantPlace> addWeight(Value) override { return ConstantPlace{}; }
  StatusOr<ConstantPlace> addRowSums(Value) override { return ConstantPlace{}; }
  StatusOr<ConstantPlace> addBytes(ArrayRef<char> bytes) override {
    return ConstantPlace{0, 0, bytes.size()};
  }
  StatusOr<ConstantPlace> addElements(ElementsAttr elements) override {
    Type element = elements.getElementType();
    uint64_t bits = element.isInteger(1) ? 8 : element.getIntOrFloatBitWidth();
    return ConstantPlace{0, 0, (elements.getNumElements() * bits + 7) / 8};
  }
  StatusOr<ConstantPlace> addWidened(ElementsAttr halves) override {
    return ConstantPlace{0, 0, halves.getNumElements() * sizeof(float)};
  }
};
} // namespace

unsigned threadsOf(const CompileOptions &options) {
  return options.threads ? options.threads
                         : std::thread::hardware_concurrency();
}

int64_t predictedContextOf(func::FuncOp func, const CompileOptions &options) {
  auto context = func->getAttrOfType<IntegerAttr>(ir::contextAttribute);
  if (!context)
    return 0;
  return options.context ? context.getInt()
                         : std::min(context.getInt(), usualContext);
}

namespace {
/// The one function of a module, its kernels and its plan.
struct CudaFunction {
  func::FuncOp function;
  CudaKernels kernels;
  std::unique_ptr<plan::FunctionT> plan;
};
} // namespace

static StatusOr<CudaFunction> buildFunction(ModuleOp module,
                                            const CompileOptions &options,
                                            CudaKernels::Purpose purpose) {
  auto targets = target::parseArchitectures(options.architectures);
  if (!targets.ok())
    return targets.status();
  auto functions = llvm::to_vector(module.getOps<func::FuncOp>());
  if (functions.size() != 1)
    return Status(StatusCode::Internal, "a module has one function");
  CudaFunction built{functions.front(),
                     CudaKernels(*module.getContext(), *targets,
                                 predictedContextOf(functions.front(), options),
                                 purpose),
                     nullptr};
  NoConstants constants;
  auto plan = PlanBuilder(constants, built.kernels, built.function).build();
  if (failed(plan))
    return Status(StatusCode::Unsupported, "the plan could not be built");
  built.plan = std::move(*plan);
  return built;
}

Status predictCuda(ModuleOp module, const CompileOptions &options,
                   CompileSummary &summary) {
  auto built =
      buildFunction(module, options, CudaKernels::Purpose::Predictions);
  if (!built.ok())
    return built.status();
  // What takes the place of the logits is part of a step.
  QOPT_RETURN_IF_ERROR(
      addSampling(*built->plan, built->function, built->kernels, summary));
  built->kernels.summarize(*built->plan, summary);
  return Status();
}

StatusOr<std::string> emitCuda(ModuleOp module, Stage stage,
                               const CompileOptions &options,
                               CompileSummary &summary) {
  auto built = buildFunction(module, options, CudaKernels::Purpose::Code);
  if (!built.ok())
    return built.status();
  CudaKernels &kernels = built->kernels;
  QOPT_RETURN_IF_ERROR(
      addSampling(*built->plan, built->function, kernels, summary));
  summary.genericKernels = kernels.genericKernels();
  if (stage == Stage::Gpu)
    return kernels.gpu();
  QOPT_RETURN_IF_ERROR(kernels.assemble(threadsOf(options), summary));
  kernels.summarize(*built->plan, summary);
  if (stage == Stage::Ptx)
    return kernels.ptx();
  return stage == Stage::Sass ? kernels.sass() : std::string();
}

} // namespace qopt::driver
