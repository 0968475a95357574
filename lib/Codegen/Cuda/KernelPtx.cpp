// The key is made of a kernel's IR before anything is done to it, which costs a
// twentieth of doing it. A kernel has no name of its own until its text is
// there, so that equal ones of several models are one.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Codegen/Cuda/KernelPtx.h"

#include "lib/Codegen/Cuda/DeviceLowering.h"
#include "lib/Codegen/Cuda/PtxEmitter.h"
#include "lib/Codegen/Emitter.h"
#include "lib/Codegen/Host/HostMathCalls.h"
#include "lib/Codegen/KeyDigest.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Threading.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/IR/Module.h"
#include "llvm/Target/TargetMachine.h"

#include <limits>
#include <optional>

using namespace mlir;
using namespace qopt;
using namespace qopt::codegen;

bool codegen::isKernel(Operation *op) {
  auto function = dyn_cast<gpu::GPUFuncOp>(op);
  return function ? function.isKernel()
                  : op->hasAttr(NVVM::NVVMDialect::getKernelFuncAttrName());
}

/// What every kernel is called until its text is there; nothing else that is
/// known to code generation begins so.
static constexpr StringRef anyKernel = "any_kernel_of_qopt";

/// The kernel in a module of its own under a name that all kernels share, with
/// all but other kernels of its module.
static gpu::GPUModuleOp isolate(FunctionOpInterface kernel) {
  auto from = kernel->getParentOfType<gpu::GPUModuleOp>();
  auto module = cast<gpu::GPUModuleOp>(from->cloneWithoutRegions());
  Block &block = module.getRegion().emplaceBlock();
  for (Operation &op : from.getOps())
    if (&op == kernel || !isKernel(&op)) {
      Operation *copy = op.clone();
      block.push_back(copy);
      if (&op == kernel)
        SymbolTable::setSymbolName(copy, anyKernel);
    }
  return module;
}

/// With the kernel's own name in place of the shared one.
static std::string withName(StringRef text, StringRef name) {
  std::string named;
  for (;;) {
    auto [before, rest] = text.split(anyKernel);
    named += before;
    if (before.size() == text.size())
      return named;
    named += name;
    text = rest;
  }
}

/// All of an op as text, without where it comes from, which no code depends on.
static std::string spell(Operation *op) {
  OpPrintingFlags flags; // of the command line, where there are such
  flags.printGenericOpForm().useLocalScope().enableDebugInfo(false);
  flags.elideLargeElementsAttrs(std::numeric_limits<int64_t>::max());
  std::string text;
  llvm::raw_string_ostream stream(text);
  op->print(stream, flags);
  return text;
}

/// A digest of all that the PTX of an isolated kernel depends on; nothing where
/// that is not known, because data lies outside the IR.
static std::optional<std::string> keyOf(gpu::GPUModuleOp module,
                                        const PtxTarget &target) {
  std::string text = spell(module);
  if (StringRef(text).contains("dense_resource<"))
    return std::nullopt;
  KeyDigest key;
  key.add("ptx");
  key.addCompiler();
  key.add(target.target->name);
  key.add(std::to_string(target.version));
  key.add(text);
  return key.finish();
}

/// Two kernels of one text may have no name in common.
static void makeNamesOwn(llvm::Module &module) {
  for (llvm::GlobalValue &value : module.global_values())
    if (!value.isDeclaration() && value.getName() != anyKernel &&
        !value.getName().starts_with("llvm.")) {
      value.setLinkage(llvm::GlobalValue::InternalLinkage);
      value.setName(anyKernel + "_" + value.getName());
    }
}

/// The text behind the header, of which LLVM writes the same for every module.
static StatusOr<std::string> bodyOf(StringRef text) {
  auto [header, body] = text.split(".address_size 64\n");
  if (body.empty())
    return Status(StatusCode::Internal, "LLVM writes no header of PTX");
  return body.trim('\n').str() + "\n";
}

static StatusOr<std::string> compile(llvm::Module &module,
                                     const PtxTarget &target) {
  auto machine = createPtxMachine(*target.target, target.version);
  if (!machine)
    return machine.status();
  prepare(module, **machine);
  if (failed(linkHostMath(module)))
    return Status(StatusCode::Internal, "the elementary functions do not link");
  QOPT_RETURN_IF_ERROR(checkDeviceModule(module));
  annotateAssembly(module);
  makeNamesOwn(module);
  StatusOr<std::string> text = emitPtx(module, **machine);
  if (!text)
    return text;
  return bodyOf(*text);
}

/// From an isolated and lowered kernel.
static FailureOr<std::string> translate(gpu::GPUModuleOp module,
                                        FunctionOpInterface kernel,
                                        const PtxTarget &target) {
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> translated =
      translateModuleToLLVMIR(module, context, "kernels");
  if (!translated)
    return kernel->emitError("cannot translate the kernel to LLVM IR");
  StatusOr<std::string> text = compile(*translated, target);
  if (!text)
    return kernel->emitError(
        withName(text.status().message(), kernel.getName()));
  return std::move(*text);
}

namespace {
/// A kernel on its way.
struct Work {
  FunctionOpInterface kernel;
  OwningOpRef<gpu::GPUModuleOp> isolated;
  gpu::GPUModuleOp lowered;
  std::optional<std::string> key;
  std::string text;            ///< of any kernel
  const Work *equal = nullptr; ///< an earlier one of the same text
};
} // namespace

FailureOr<std::vector<std::string>>
codegen::makeKernelPtx(ArrayRef<FunctionOpInterface> kernels,
                       const PtxTarget &target, const CodeCache &cache) {
  if (kernels.empty())
    return std::vector<std::string>();
  std::vector<Work> all;
  for (FunctionOpInterface kernel : kernels)
    all.emplace_back().kernel = kernel;
  MLIRContext *context = all.front().kernel->getContext();
  parallelForEach(context, all, [&](Work &work) {
    work.isolated = isolate(work.kernel);
    work.key = keyOf(*work.isolated, target);
    if (auto entry = work.key ? cache.load(*work.key, 1) : std::nullopt)
      work.text = std::move(entry->front());
  });

  // Conversions look for a data layout in the module around.
  OwningOpRef<ModuleOp> around(ModuleOp::create(all.front().kernel->getLoc()));
  SmallVector<Work *> missing;
  llvm::StringMap<const Work *> byKey;
  for (Work &work : all) {
    if (!work.text.empty())
      continue;
    if (work.key)
      if (auto [known, isNew] = byKey.try_emplace(*work.key, &work); !isNew) {
        work.equal = known->second;
        continue;
      }
    work.lowered = work.isolated.release();
    around->push_back(work.lowered);
    missing.push_back(&work);
  }
  if (failed(lowerToDeviceLLVM(*around)))
    return failure();
  auto make = [&](Work *work) -> LogicalResult {
    FailureOr<std::string> text =
        translate(work->lowered, work->kernel, target);
    if (failed(text))
      return failure();
    if (work->key)
      cache.store(*work->key, StringRef(*text));
    work->text = std::move(*text);
    return success();
  };
  if (failed(failableParallelForEach(context, missing, make)))
    return failure();
  std::vector<std::string> parts;
  for (Work &work : all)
    parts.push_back(withName(work.equal ? work.equal->text : work.text,
                             work.kernel.getName()));
  return parts;
}

std::string codegen::joinKernelPtx(ArrayRef<std::string> parts,
                                   const PtxTarget &target) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  stream << "// Generated by qopt\n\n.version " << target.version / 10 << "."
         << target.version % 10 << "\n.target " << target.target->name
         << "\n.address_size 64\n";
  llvm::StringSet<> declared;
  for (StringRef part : parts) {
    stream << "\n";
    while (!part.empty()) {
      auto [line, rest] = part.split('\n');
      part = rest;
      if (!line.starts_with(".extern") || declared.insert(line).second)
        stream << line << "\n";
    }
  }
  return text;
}
