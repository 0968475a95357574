// What must hold of kernels before they are made PTX, one by one
// (KernelPtx.h).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Codegen/Cuda/CudaCodegen.h"

#include "dialects/Ptx/PtxOps.h"
#include "lib/Codegen/Cuda/DeviceLowering.h"
#include "lib/Codegen/Cuda/KernelPtx.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::codegen;

void codegen::registerCudaCodegen(DialectRegistry &registry) {
  registerDeviceLowering(registry);
}

/// A word in a symbol on which ptxas is known to change its heuristics.
static constexpr StringRef loadedWord = "cutlass";

static constexpr StringRef maxThreadsName = "nvvm.maxntid";
static constexpr StringRef minBlocksName = "nvvm.minctasm";

/// Reads what the launch must know; says what is missing.
static FailureOr<PtxKernel> describeKernel(gpu::GPUFuncOp kernel,
                                           const target::Target &target) {
  PtxKernel known;
  known.symbol = kernel.getName().str();
  if (StringRef(known.symbol).contains_insensitive(loadedWord))
    return kernel.emitOpError("\"")
           << known.symbol << "\" contains \"" << loadedWord
           << "\", which changes what ptxas does; expected a neutral name";
  std::optional<ArrayRef<int32_t>> block = kernel.getKnownBlockSize();
  if (auto threads = kernel->getAttrOfType<DenseI32ArrayAttr>(maxThreadsName))
    block = threads.asArrayRef();
  if (!block || block->size() != 3)
    return kernel.emitOpError("\"")
           << known.symbol
           << "\" has no block size; expected known_block_size = array<i32: x, "
              "y, z>, or nvvm.maxntid in its place";
  int64_t threads = 1;
  for (auto [index, size] : llvm::enumerate(*block)) {
    known.block[index] = size;
    threads *= size;
  }
  if (threads < 1 || threads > target.limits.threadsPerBlock)
    return kernel.emitOpError("\"")
           << known.symbol << "\" has " << threads << " threads; expected 1 to "
           << target.limits.threadsPerBlock;
  auto minBlocks = kernel->getAttrOfType<IntegerAttr>(minBlocksName);
  if (!minBlocks || minBlocks.getInt() < 1)
    return kernel.emitOpError("\"")
           << known.symbol << "\" does not say how many blocks an SM holds; "
           << "expected " << minBlocksName << " = 1 : i32 or more";
  known.minBlocks = static_cast<int>(minBlocks.getInt());
  return known;
}

/// The compute capability of an NVVM op that does not say it itself; LLVM ends
/// the process where it cannot select one.
static int requiredCapability(Operation *op) {
  if (isa<NVVM::GriddepcontrolOp, NVVM::SetMaxRegisterOp, NVVM::ElectSyncOp,
          NVVM::MBarrierTryWaitParityOp, NVVM::MBarrierTryWaitOp,
          NVVM::MBarrierArriveExpectTxOp, NVVM::MBarrierExpectTxOp,
          NVVM::StMatrixOp, NVVM::FenceMbarrierInitOp, NVVM::FenceProxyOp,
          NVVM::MapaOp, NVVM::CpAsyncBulkGlobalToSharedClusterOp,
          NVVM::CpAsyncBulkSharedCTAToGlobalOp, NVVM::CpAsyncBulkPrefetchOp,
          NVVM::CpAsyncBulkCommitGroupOp,
          NVVM::CpAsyncBulkTensorGlobalToSharedClusterOp>(op))
    return 90;
  if (isa<NVVM::ConvertF8x2ToF16x2Op, NVVM::ConvertF16x2ToF8x2Op,
          NVVM::ConvertF32x2ToF8x2Op>(op))
    return 89;
  if (auto instruction = dyn_cast<ptx::InstructionOpInterface>(op))
    return instruction.getRequiredCapability();
  return 0;
}

/// The PTX version that all ops can be written in; fails at an op that the
/// target has not.
static FailureOr<int> requiredPtxVersion(gpu::GPUModuleOp module,
                                         const target::Target &target) {
  int version = target.ptxVersion;
  WalkResult walk = module.walk([&](Operation *op) {
    if (auto instruction = dyn_cast<ptx::InstructionOpInterface>(op))
      version = std::max(version, instruction.getRequiredPtxVersion());
    int capability = requiredCapability(op);
    if (capability <= target.capability)
      return WalkResult::advance();
    op->emitOpError("needs sm_")
        << capability << "; the target is " << target.name;
    return WalkResult::interrupt();
  });
  if (walk.wasInterrupted())
    return failure();
  return version;
}

/// Ops of NVVM that say themselves which architectures have them.
static LogicalResult verifyNvvm(gpu::GPUModuleOp module,
                                const target::Target &target) {
  auto attribute =
      NVVM::NVVMTargetAttr::get(module.getContext(), /*optLevel=*/3,
                                "nvptx64-nvidia-cuda", StringRef(target.name));
  return attribute.verifyTarget(module);
}

std::string codegen::printKernels(gpu::GPUModuleOp module,
                                  const target::Target &target) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  stream << "// Kernels for " << target.name
         << "; to the LLVM dialect: qopt-opt --qopt-device-stage, to PTX: "
            "qopt-translate --qopt-to-ptx --arch "
         << target.name << "\n";
  module->print(stream);
  stream << "\n";
  return text;
}

/// Loads what the passes of the lowering need: they run in several threads,
/// which must not load.
static void loadCudaCodegen(MLIRContext &context) {
  DialectRegistry registry;
  registerCudaCodegen(registry);
  context.appendDialectRegistry(registry);
  context.loadAllAvailableDialects();
}

FailureOr<PtxModule> codegen::generatePtx(gpu::GPUModuleOp module,
                                          const target::Target &target,
                                          const CodeCache &cache) {
  loadCudaCodegen(*module.getContext());
  PtxModule result;
  SmallVector<FunctionOpInterface> kernels;
  for (auto function : module.getOps<FunctionOpInterface>()) {
    if (!isKernel(function))
      continue;
    kernels.push_back(function);
    auto ours = dyn_cast<gpu::GPUFuncOp>(*function);
    if (!ours)
      continue; // lowered already: nobody asks how it is launched
    FailureOr<PtxKernel> kernel = describeKernel(ours, target);
    if (failed(kernel))
      return failure();
    result.kernels.push_back(*kernel);
  }
  FailureOr<int> version = requiredPtxVersion(module, target);
  if (failed(version) || failed(verifyNvvm(module, target)))
    return failure();
  result.ptxVersion = *version;
  FailureOr<std::vector<std::string>> parts =
      makeKernelPtx(kernels, {&target, *version}, cache);
  if (failed(parts))
    return failure();
  result.text = joinKernelPtx(*parts, {&target, *version});
  return result;
}

FailureOr<CudaCode> codegen::generateCudaCode(ModuleOp kernels,
                                              const target::Target &target,
                                              const CodeCache &cache) {
  loadCudaCodegen(*kernels.getContext());

  OwningOpRef<ModuleOp> copy(cast<ModuleOp>(kernels->clone()));
  OwningOpRef<ModuleOp> around(ModuleOp::create(kernels.getLoc()));
  OpBuilder builder = OpBuilder::atBlockBegin(around->getBody());
  auto module = gpu::GPUModuleOp::create(builder, kernels.getLoc(), "kernels");
  CudaCode code;
  for (auto kernel : copy->getOps<func::FuncOp>()) {
    unsigned buffers = llvm::count_if(kernel.getArgumentTypes(), [](Type type) {
      return isa<MemRefType>(type);
    });
    unsigned arguments = kernel.getNumArguments();
    FailureOr<ThreadRange> range = lowerToThreads(kernel, module);
    if (failed(range))
      return failure();
    code.kernels.push_back(
        {kernel.getSymName().str(), buffers, arguments - buffers - 2, *range});
  }
  FailureOr<PtxModule> ptx = generatePtx(module, target, cache);
  if (failed(ptx))
    return failure();
  code.ptx = std::move(*ptx);
  return code;
}
