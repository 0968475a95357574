// Code for a processor of the host kind, and liblld as a function. lld
// works on files and keeps global state: the object lies in a temporary folder
// for the time of the link, and links are serialised.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Codegen/Host/SharedObject.h"

#include "lib/Codegen/Emitter.h"
#include "lib/Codegen/LlvmOptions.h"
#include "lib/Codegen/TemporaryFolder.h"

#include "lld/Common/Driver.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

#include <mutex>

LLD_HAS_DRIVER(elf)

using namespace qopt;
using namespace qopt::codegen;

static void initialiseTargets() {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeAArch64TargetInfo();
    LLVMInitializeAArch64Target();
    LLVMInitializeAArch64TargetMC();
    LLVMInitializeAArch64AsmPrinter();
  });
}

StatusOr<std::unique_ptr<llvm::TargetMachine>>
codegen::createTargetMachine(const HostTarget &target) {
  initialiseTargets();
  std::string error;
  llvm::Triple triple(target.triple);
  const llvm::Target *found = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!found)
    return Status(StatusCode::Unsupported,
                  "host target \"" + target.name + "\": " + error);
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Standard;
  std::unique_ptr<llvm::TargetMachine> machine(found->createTargetMachine(
      triple, target.cpu, target.features, options, llvm::Reloc::PIC_,
      std::nullopt, llvm::CodeGenOptLevel::Aggressive));
  if (!machine)
    return Status(StatusCode::Unsupported,
                  "host target \"" + target.name +
                      "\": LLVM cannot make code for \"" + target.triple +
                      "\"");
  return std::move(machine);
}

void codegen::optimiseModule(llvm::Module &module,
                             llvm::TargetMachine &machine) {
  llvm::PipelineTuningOptions tuning;
  tuning.LoopVectorization = true;
  tuning.SLPVectorization = true;
  tuning.LoopInterleaving = true;
  optimise(module, machine, tuning);
}

StatusOr<std::string> codegen::linkSharedObject(llvm::Module &module,
                                                llvm::TargetMachine &machine) {
  StatusOr<std::string> object =
      emit(module, machine, llvm::CodeGenFileType::ObjectFile);
  if (!object)
    return object.status();
  TemporaryFolder folder("qopt-link");
  QOPT_RETURN_IF_ERROR(folder.made());
  std::string input = folder.file("kernels.o");
  std::string output = folder.file("kernels.so");
  QOPT_RETURN_IF_ERROR(writeFile(input, *object));

  bool arm = machine.getTargetTriple().isAArch64();
  const char *arguments[] = {"ld.lld",
                             "-m",
                             arm ? "aarch64linux" : "elf_x86_64",
                             "-shared",
                             "-Bsymbolic",
                             "--strip-all",
                             "--build-id=none",
                             "--hash-style=gnu",
                             "--no-undefined",
                             "--threads=1",
                             "-z",
                             "noseparate-code",
                             "-soname",
                             "qopt-kernels",
                             input.c_str(),
                             "-o",
                             output.c_str()};
  std::string messages;
  llvm::raw_string_ostream messageStream(messages);
  LlvmOptions resetByLink;
  lld::Result result = lld::lldMain(arguments, messageStream, messageStream,
                                    {{lld::Gnu, &lld::elf::link}});
  if (result.retCode != 0)
    return Status(StatusCode::Internal,
                  "cannot link the generated code: " + messages);
  return readFile(output);
}
