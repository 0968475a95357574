// gpu, nvvm, ptx, scf, arith, math, memref and vector to the LLVM dialect.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Codegen/Cuda/DeviceLowering.h"

#include "dialects/Ptx/PtxDialect.h"
#include "lib/Codegen/Cuda/PtxToLLVM.h"
#include "lib/Codegen/Host/HostMathCalls.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVM.h"
#include "mlir/Conversion/GPUToNVVM/GPUToNVVM.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/NVVMToLLVM/NVVMToLLVM.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Conversion/UBToLLVM/UBToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVM.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/UB/IR/UBOps.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/Threading.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/GPU/GPUToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace qopt;

void codegen::registerDeviceLowering(DialectRegistry &registry) {
  registry.insert<affine::AffineDialect, arith::ArithDialect,
                  cf::ControlFlowDialect, func::FuncDialect, gpu::GPUDialect,
                  linalg::LinalgDialect, LLVM::LLVMDialect, math::MathDialect,
                  memref::MemRefDialect, NVVM::NVVMDialect, ptx::PtxDialect,
                  scf::SCFDialect, ub::UBDialect, vector::VectorDialect>();
  arith::registerConvertArithToLLVMInterface(registry);
  cf::registerConvertControlFlowToLLVMInterface(registry);
  registerConvertFuncToLLVMInterface(registry);
  registerConvertMemRefToLLVMInterface(registry);
  registerConvertNVVMToLLVMInterface(registry);
  ub::registerConvertUBToLLVMInterface(registry);
  vector::registerConvertVectorToLLVMInterface(registry);
  registerBuiltinDialectTranslation(registry);
  registerGPUDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  registerNVVMDialectTranslation(registry);
}

namespace {
/// A math op on one f16 or bf16 is computed in f32 and rounded once, ahead of
/// what else could be done to it.
struct WidenMath : RewritePattern {
  explicit WidenMath(MLIRContext *context)
      : RewritePattern(MatchAnyOpTypeTag(), /*benefit=*/2, context) {}

  LogicalResult matchAndRewrite(Operation *op,
                                PatternRewriter &rewriter) const override {
    if (!isa<math::MathDialect>(op->getDialect()) ||
        isa<math::FmaOp, math::AbsFOp>(op) || op->getNumResults() != 1)
      return rewriter.notifyMatchFailure(op, "is no elementary function");
    Type type = op->getResult(0).getType();
    if (!type.isF16() && !type.isBF16())
      return rewriter.notifyMatchFailure(op, "is not of one half");
    Type wide = rewriter.getF32Type();
    SmallVector<Value> operands;
    for (Value operand : op->getOperands())
      operands.push_back(
          operand.getType() != type
              ? operand
              : arith::ExtFOp::create(rewriter, op->getLoc(), wide, operand)
                    .getResult());
    Operation *widened =
        rewriter.create(op->getLoc(), op->getName().getIdentifier(), operands,
                        wide, op->getAttrs());
    rewriter.replaceOpWithNewOp<arith::TruncFOp>(op, type,
                                                 widened->getResult(0));
    return success();
  }
};

/// A function that is one instruction. As an intrinsic by name, because the
/// conversion of gpu would turn LLVM's own op into a call of NVIDIA's library.
template <typename OpTy> struct ToIntrinsic : OpRewritePattern<OpTy> {
  ToIntrinsic(MLIRContext *context, StringRef intrinsic)
      : OpRewritePattern<OpTy>(context), intrinsic(intrinsic) {}

  LogicalResult matchAndRewrite(OpTy op,
                                PatternRewriter &rewriter) const override {
    rewriter.replaceOpWithNewOp<LLVM::CallIntrinsicOp>(
        op, op.getType(), rewriter.getStringAttr(intrinsic),
        ValueRange(op->getOperands()));
    return success();
  }

  StringRef intrinsic;
};
} // namespace

static void addIntrinsics(RewritePatternSet &patterns) {
  MLIRContext *context = patterns.getContext();
  patterns.add<ToIntrinsic<arith::MaxNumFOp>>(context, "llvm.maxnum");
  patterns.add<ToIntrinsic<arith::MinNumFOp>>(context, "llvm.minnum");
  patterns.add<ToIntrinsic<arith::MaximumFOp>>(context, "llvm.maximum");
  patterns.add<ToIntrinsic<arith::MinimumFOp>>(context, "llvm.minimum");
  patterns.add<ToIntrinsic<math::AbsFOp>>(context, "llvm.fabs");
  patterns.add<ToIntrinsic<math::CeilOp>>(context, "llvm.ceil");
  patterns.add<ToIntrinsic<math::FloorOp>>(context, "llvm.floor");
  patterns.add<ToIntrinsic<math::RoundEvenOp>>(context, "llvm.roundeven");
  patterns.add<ToIntrinsic<math::RoundOp>>(context, "llvm.round");
  patterns.add<ToIntrinsic<math::SqrtOp>>(context, "llvm.sqrt");
}

LogicalResult codegen::lowerDeviceMath(Operation *root) {
  RewritePatternSet patterns(root->getContext());
  patterns.add<WidenMath>(root->getContext());
  arith::populateCeilFloorDivExpandOpsPatterns(patterns);
  populateMathCalls(patterns, HalfConversion::Instruction);
  addIntrinsics(patterns);
  // What else can be simplified is for LLVM, which is faster at it.
  GreedyRewriteConfig config;
  config.enableFolding(false).enableConstantCSE(false);
  config.setRegionSimplificationLevel(GreedySimplifyRegionLevel::Disabled);
  return applyPatternsGreedily(root, std::move(patterns), config);
}

void codegen::addViewLowering(OpPassManager &kernels) {
  kernels.addPass(memref::createExpandStridedMetadataPass());
  kernels.addPass(createLowerAffinePass());
}

void codegen::addDeviceLLVM(OpPassManager &kernels) {
  kernels.addPass(createCSEPass());
  kernels.addPass(createSCFToControlFlowPass());
  // Before the conversion of gpu: that one would call NVIDIA's library.
  kernels.addPass(createConvertMathToLLVMPass());
  ConvertGpuOpsToNVVMOpsOptions gpuOptions;
  gpuOptions.useBarePtrCallConv = true;
  gpuOptions.hasRedux = true; // every target has it from sm_80 on
  kernels.addPass(createConvertGpuOpsToNVVMOps(gpuOptions));
  kernels.addPass(createConvertNVVMToLLVMPass());
  kernels.addPass(createReconcileUnrealizedCastsPass());
}

void codegen::registerDeviceLoweringPasses() {
  memref::registerExpandStridedMetadataPass();
  registerLowerAffinePass();
  registerCanonicalizerPass();
  registerCSEPass();
  registerSCFToControlFlowPass();
  registerConvertMathToLLVMPass();
  registerConvertGpuOpsToNVVMOps();
  registerConvertNVVMToLLVMPass();
  registerReconcileUnrealizedCastsPass();
}

/// Whether addViewLowering has something to do.
static bool hasViews(gpu::GPUModuleOp module) {
  return module
      .walk([](Operation *op) {
        return isa_and_nonnull<affine::AffineDialect, memref::MemRefDialect>(
                   op->getDialect())
                   ? WalkResult::interrupt()
                   : WalkResult::advance();
      })
      .wasInterrupted();
}

/// Modules without views stand aside: looking for some takes a fifth of all
/// lowering, and the kernels of families have none.
static LogicalResult lowerViews(ModuleOp kernels,
                                ArrayRef<gpu::GPUModuleOp> modules,
                                function_ref<LogicalResult(ModuleOp)> lower) {
  OwningOpRef<ModuleOp> viewed(ModuleOp::create(kernels.getLoc()));
  for (gpu::GPUModuleOp module : modules)
    if (hasViews(module))
      module->moveBefore(viewed->getBody(), viewed->getBody()->end());
  LogicalResult done = lower(*viewed);
  for (auto module :
       llvm::make_early_inc_range(viewed->getOps<gpu::GPUModuleOp>()))
    module->moveBefore(kernels.getBody(), kernels.getBody()->end());
  return done;
}

LogicalResult codegen::lowerToDeviceLLVM(ModuleOp kernels) {
  auto modules = llvm::to_vector(kernels.getOps<gpu::GPUModuleOp>());
  if (modules.empty())
    return success();
  MLIRContext *context = kernels.getContext();
  // Not between the passes, but ahead of them and, by the translation to LLVM
  // IR, behind them.
  if (failed(failableParallelForEach(context, modules,
                                     [](Operation *op) { return verify(op); })))
    return failure();
  auto run = [&](ModuleOp some, void (*add)(OpPassManager &)) {
    PassManager passes(context, ModuleOp::getOperationName());
    passes.enableVerifier(false);
    add(passes.nest<gpu::GPUModuleOp>());
    return passes.run(some);
  };
  parallelForEach(context, modules, [](Operation *op) { lowerPtx(op); });
  if (failed(lowerViews(
          kernels, modules,
          [&](ModuleOp some) { return run(some, addViewLowering); })) ||
      failed(failableParallelForEach(
          context, modules, [](Operation *op) { return lowerDeviceMath(op); })))
    return failure();
  return run(kernels, addDeviceLLVM);
}
