// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Codegen/Emitter.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/PassInstrumentation.h"
#include "llvm/Target/TargetMachine.h"

using namespace qopt;
using namespace qopt::codegen;

static llvm::TargetLibraryInfoImpl noLibrary(const llvm::Triple &triple) {
  llvm::TargetLibraryInfoImpl library(triple);
  library.disableAllFunctions();
  return library;
}

void codegen::prepare(llvm::Module &module,
                      const llvm::TargetMachine &machine) {
  module.setModuleIdentifier("kernels");
  module.setSourceFileName("kernels");
  module.setTargetTriple(machine.getTargetTriple());
  module.setDataLayout(machine.createDataLayout());
}

/// Has the passes of `leftOut`, which must outlive `callbacks`, not run.
static void leaveOut(llvm::PassInstrumentationCallbacks &callbacks,
                     llvm::ArrayRef<LeftOutPass> leftOut) {
  llvm::StringMap<int> turns; // by pass and function
  callbacks.registerShouldRunOptionalPassCallback(
      [leftOut, turns = std::move(turns)](llvm::StringRef name,
                                          llvm::Any unit) mutable {
        auto known = llvm::find_if(leftOut, [&](const LeftOutPass &pass) {
          return pass.name == name;
        });
        if (known == leftOut.end())
          return true;
        if (known->turn == LeftOutPass::everyTurn)
          return false;
        std::string key = name.str();
        if (auto *function = llvm::any_cast<const llvm::Function *>(&unit))
          key += " " + (*function)->getName().str();
        return turns[key]++ != known->turn;
      });
}

void codegen::optimise(llvm::Module &module, llvm::TargetMachine &machine,
                       const llvm::PipelineTuningOptions &tuning,
                       llvm::ArrayRef<LeftOutPass> leftOut) {
  llvm::PassInstrumentationCallbacks callbacks;
  leaveOut(callbacks, leftOut);
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine, tuning, std::nullopt, &callbacks);
  functions.registerPass([&] {
    return llvm::TargetLibraryAnalysis(noLibrary(machine.getTargetTriple()));
  });
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O3)
      .run(module, modules);
}

StatusOr<std::string> codegen::emit(llvm::Module &module,
                                    llvm::TargetMachine &machine,
                                    llvm::CodeGenFileType file) {
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  llvm::legacy::PassManager passes;
  passes.add(new llvm::TargetLibraryInfoWrapperPass(
      noLibrary(machine.getTargetTriple())));
  if (machine.addPassesToEmitFile(passes, stream, nullptr, file))
    return Status(StatusCode::Unsupported, "LLVM cannot emit code for \"" +
                                               machine.getTargetTriple().str() +
                                               "\"");
  passes.run(module);
  return std::string(bytes.begin(), bytes.end());
}
