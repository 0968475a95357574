// lld initialises every target of LLVM, for link-time optimisation, and so
// would pull the code generators of some twenty processors into a statically
// linked compiler. qopt links no bitcode. For the processors that it makes no
// code for, these functions are found before LLVM's archives are searched, and
// register nothing: LLVM then answers that it does not know the target.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#define QOPT_LEFT_OUT(TARGET)                                                  \
  extern "C" void LLVMInitialize##TARGET##TargetInfo() {}                      \
  extern "C" void LLVMInitialize##TARGET##Target() {}                          \
  extern "C" void LLVMInitialize##TARGET##TargetMC() {}                        \
  extern "C" void LLVMInitialize##TARGET##AsmPrinter() {}                      \
  extern "C" void LLVMInitialize##TARGET##AsmParser() {}
#include "lib/Codegen/Host/TargetsLeftOut.inc"
