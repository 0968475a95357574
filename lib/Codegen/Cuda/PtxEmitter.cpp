// LLVM's NVPTX back end, and what must hold of a module before.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Codegen/Cuda/PtxEmitter.h"

#include "lib/Codegen/Emitter.h"
#include "lib/Codegen/LlvmOptions.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

#include <mutex>

using namespace qopt;
using namespace qopt::codegen;

static void initialiseTarget() {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
  });
}

StatusOr<std::unique_ptr<llvm::TargetMachine>>
codegen::createPtxMachine(const target::Target &target, int ptxVersion) {
  initialiseTarget();
  std::string error;
  llvm::Triple triple("nvptx64-nvidia-cuda");
  const llvm::Target *found = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!found)
    return Status(StatusCode::Unsupported, "cannot write PTX: " + error);
  llvm::TargetOptions options;
  // A product and a sum become one fma only where the source says so.
  options.AllowFPOpFusion = llvm::FPOpFusion::Standard;
  // Addresses in shared memory are 32 bits: half the registers, half the
  // arithmetic. LLVM has this as an option of its command line only.
  LlvmOptions ofProcess;
  QOPT_RETURN_IF_ERROR(ofProcess.set("nvptx-short-ptr", "true"));
  std::unique_ptr<llvm::TargetMachine> machine(found->createTargetMachine(
      triple, std::string(target.name), "+ptx" + std::to_string(ptxVersion),
      options, llvm::Reloc::PIC_, std::nullopt,
      llvm::CodeGenOptLevel::Aggressive));
  if (!machine)
    return Status(StatusCode::Unsupported, "LLVM cannot write PTX for \"" +
                                               std::string(target.name) + "\"");
  return std::move(machine);
}

static const llvm::InlineAsm *assemblyOf(const llvm::Instruction &instruction) {
  auto *call = llvm::dyn_cast<llvm::CallInst>(&instruction);
  return call ? llvm::dyn_cast<llvm::InlineAsm>(call->getCalledOperand())
              : nullptr;
}

Status codegen::checkDeviceModule(const llvm::Module &module) {
  for (const llvm::Function &function : module) {
    std::string name = function.getName().str();
    if (function.isDeclaration() && !function.isIntrinsic())
      return Status(StatusCode::Unsupported,
                    "the kernels call \"" + name +
                        "\", which no GPU has; expected ops that code "
                        "generation knows");
    for (const llvm::Instruction &instruction : llvm::instructions(function)) {
      auto *update = llvm::dyn_cast<llvm::AtomicRMWInst>(&instruction);
      if (update && llvm::isStrongerThanMonotonic(update->getOrdering()))
        return Status(StatusCode::Unsupported,
                      "kernel \"" + name +
                          "\" has an atomic update that orders other accesses, "
                          "which PTX from LLVM would lose; expected ptx.red or "
                          "ptx.atom");
    }
  }
  return {};
}

void codegen::annotateAssembly(llvm::Module &module) {
  for (llvm::Function &function : module)
    for (llvm::Instruction &instruction : llvm::instructions(function)) {
      const llvm::InlineAsm *assembly = assemblyOf(instruction);
      if (!assembly)
        continue;
      auto &call = llvm::cast<llvm::CallInst>(instruction);
      call.setDoesNotThrow();
      if (assembly->hasSideEffects() ||
          assembly->getAsmString().find(".sync") != std::string::npos)
        call.setConvergent();
      if (assembly->hasSideEffects())
        continue;
      call.setDoesNotAccessMemory();
      call.addFnAttr(llvm::Attribute::WillReturn);
    }
}

/// A sixth of the time of -O3: without these the PTX of 1,306 kernels of
/// families and graphs has the same bytes (LLVM 22).
static constexpr LeftOutPass leftOut[] = {
    {"ADCEPass"},
    {"CalledValuePropagationPass"},
    {"DSEPass"},
    {"GlobalOptPass"},
    {"InstCombinePass", 6}, // behind loops and vectors, ahead of unrolling
    {"JumpThreadingPass"},
    {"LoopIdiomRecognizePass"},
    {"LoopLoadEliminationPass"},
    {"LoopVectorizePass"},
    {"MemCpyOptPass"},
    {"TailCallElimPass"},
};

StatusOr<std::string> codegen::emitPtx(llvm::Module &module,
                                       llvm::TargetMachine &machine) {
  optimise(module, machine, {}, leftOut);
  return emit(module, machine, llvm::CodeGenFileType::AssemblyFile);
}
