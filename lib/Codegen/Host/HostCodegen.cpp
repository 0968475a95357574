// The order of host code generation: loops, widening of small floats, math
// calls, LLVM dialect, LLVM IR, entry points, -O3, object, link.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Codegen/Host/HostCodegen.h"
#include "dialects/QOpt/ErrorCode.h"

#include "lib/Codegen/Emitter.h"
#include "lib/Codegen/Host/HostMathCalls.h"
#include "lib/Codegen/Host/SharedObject.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Module.h"
#include "llvm/Target/TargetMachine.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::codegen;

void codegen::registerHostCodegen(DialectRegistry &registry) {
  registry
      .insert<affine::AffineDialect, arith::ArithDialect,
              cf::ControlFlowDialect, func::FuncDialect, linalg::LinalgDialect,
              LLVM::LLVMDialect, math::MathDialect, memref::MemRefDialect,
              scf::SCFDialect, vector::VectorDialect>();
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
}

/// bf16 conversions and rounding divisions have no instruction everywhere.
static LogicalResult expandArith(ModuleOp module) {
  RewritePatternSet patterns(module.getContext());
  arith::populateCeilFloorDivExpandOpsPatterns(patterns);
  arith::populateExpandBFloat16Patterns(patterns);
  return applyPatternsGreedily(module, std::move(patterns));
}

static LogicalResult lowerToScalars(ModuleOp module) {
  PassManager passes(module.getContext());
  passes.addPass(memref::createExpandStridedMetadataPass());
  passes.addPass(createLowerAffinePass());
  arith::ArithEmulateUnsupportedFloatsOptions floats;
  floats.sourceTypeStrs = {"bf16", "f16"};
  floats.targetTypeStr = "f32";
  passes.addPass(arith::createArithEmulateUnsupportedFloats(floats));
  passes.addPass(math::createMathExtendToSupportedTypes());
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
  return passes.run(module);
}

static LogicalResult lowerToLLVMDialect(ModuleOp module) {
  PassManager passes(module.getContext());
  passes.addPass(createSCFToControlFlowPass());
  passes.addPass(createConvertMathToLLVMPass());
  passes.addPass(createArithToLLVMConversionPass());
  passes.addPass(createFinalizeMemRefToLLVMConversionPass());
  passes.addPass(createConvertControlFlowToLLVMPass());
  ConvertFuncToLLVMPassOptions functions;
  functions.useBarePtrCallConv = true;
  passes.addPass(createConvertFuncToLLVMPass(functions));
  passes.addPass(createReconcileUnrealizedCastsPass());
  return passes.run(module);
}

/// `name(ptr…, i64…, i64 begin, i64 end)` becomes internal; the exported
/// function of that name loads its arguments from the two arrays.
static void makeEntryPoint(llvm::Module &module, const HostKernel &kernel) {
  llvm::Function *body = module.getFunction(kernel.symbol);
  body->setName(kernel.symbol + ".body");
  body->setLinkage(llvm::GlobalValue::InternalLinkage);
  body->addFnAttr(llvm::Attribute::AlwaysInline);
  for (unsigned i = 0; i < kernel.buffers; ++i)
    body->getArg(i)->addAttr(llvm::Attribute::NoAlias);

  llvm::LLVMContext &context = module.getContext();
  llvm::Type *pointer = llvm::PointerType::getUnqual(context);
  llvm::Type *integer = llvm::Type::getInt64Ty(context);
  auto *type = llvm::FunctionType::get(llvm::Type::getVoidTy(context),
                                       {pointer, pointer, integer, integer},
                                       /*isVarArg=*/false);
  auto *entry = llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage,
                                       kernel.symbol, module);
  entry->addFnAttr(llvm::Attribute::NoUnwind);
  llvm::IRBuilder<> builder(llvm::BasicBlock::Create(context, "entry", entry));
  llvm::SmallVector<llvm::Value *> arguments;
  auto load = [&](llvm::Type *element, unsigned array, unsigned index) {
    llvm::Value *address = builder.CreateConstInBoundsGEP1_64(
        element, entry->getArg(array), index);
    arguments.push_back(builder.CreateLoad(element, address));
  };
  for (unsigned i = 0; i < kernel.buffers; ++i)
    load(pointer, 0, i);
  for (unsigned i = 0; i < kernel.sizes; ++i)
    load(integer, 1, i);
  arguments.push_back(entry->getArg(2));
  arguments.push_back(entry->getArg(3));
  builder.CreateCall(body, arguments);
  builder.CreateRetVoid();
}

static void addTargetName(llvm::Module &module, const HostTarget &target) {
  llvm::Constant *text =
      llvm::ConstantDataArray::getString(module.getContext(), target.name);
  new llvm::GlobalVariable(module, text->getType(), /*isConstant=*/true,
                           llvm::GlobalValue::ExternalLinkage, text,
                           "qopt_target");
}

static StatusOr<std::string> compile(llvm::Module &module, const HostCode &code,
                                     const HostTarget &target) {
  auto machine = createTargetMachine(target);
  if (!machine)
    return machine.status();
  prepare(module, **machine);
  if (failed(linkHostMath(module)))
    return Status(StatusCode::Internal, "the elementary functions do not link");
  for (const HostKernel &kernel : code.kernels)
    makeEntryPoint(module, kernel);
  addTargetName(module, target);
  for (llvm::Function &function : module)
    if (!function.isDeclaration()) {
      function.addFnAttr("target-cpu", target.cpu);
      function.addFnAttr("no-builtins");
    }
  optimiseModule(module, **machine);
  return linkSharedObject(module, **machine);
}

/// Loops for every kernel of `module`, and their table.
static LogicalResult lowerKernels(ModuleOp module, HostCode &code) {
  for (auto kernel : module.getOps<func::FuncOp>()) {
    FailureOr<KernelRange> range = lowerToRangeLoops(kernel);
    if (failed(range))
      return failure();
    unsigned buffers = llvm::count_if(kernel.getArgumentTypes(), [](Type type) {
      return isa<MemRefType>(type);
    });
    code.kernels.push_back({kernel.getSymName().str(), buffers,
                            kernel.getNumArguments() - buffers - 2, *range});
  }
  return success();
}

FailureOr<HostCode> codegen::generateHostCode(ModuleOp kernels,
                                              const HostTarget &target) {
  DialectRegistry registry;
  registerHostCodegen(registry);
  kernels.getContext()->appendDialectRegistry(registry);
  kernels.getContext()->loadAllAvailableDialects();

  OwningOpRef<ModuleOp> module(cast<ModuleOp>(kernels->clone()));
  HostCode code;
  HalfConversion half =
      target.nativeHalf ? HalfConversion::Instruction : HalfConversion::Call;
  if (failed(lowerKernels(*module, code)) || failed(lowerToScalars(*module)) ||
      failed(insertMathCalls(*module, half)) || failed(expandArith(*module)) ||
      failed(lowerToLLVMDialect(*module)))
    return failure();
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> translated =
      translateModuleToLLVMIR(*module, context, "kernels");
  if (!translated)
    return kernels.emitError("cannot translate the kernels to LLVM IR");
  StatusOr<std::string> object = compile(*translated, code, target);
  if (!object) { // no node is to blame
    MLIRContext *context = kernels.getContext();
    return ir::withCode(
        emitError(UnknownLoc::get(context), object.status().message()), context,
        object.status().code());
  }
  code.object = std::move(*object);
  return code;
}
