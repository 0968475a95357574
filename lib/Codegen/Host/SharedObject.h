// From LLVM IR to the bytes of a loadable ELF shared object: optimise, emit for
// a target, link in process. The bytes depend on the module and the target
// alone, never on a folder, a clock or a build id.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_CODEGEN_HOST_SHAREDOBJECT_H
#define QOPT_LIB_CODEGEN_HOST_SHAREDOBJECT_H

#include "lib/Codegen/Host/HostTarget.h"
#include "qopt/Status.h"

#include <memory>
#include <string>

namespace llvm {
class Module;
class TargetMachine;
} // namespace llvm

namespace qopt::codegen {

/// LLVM's description of `target`; fails when this build of LLVM lacks the
/// architecture.
StatusOr<std::unique_ptr<llvm::TargetMachine>>
createTargetMachine(const HostTarget &target);

/// Optimises `module` at -O3 without ever introducing calls of a C library.
void optimiseModule(llvm::Module &module, llvm::TargetMachine &machine);

/// Emits `module` and links it. Exported functions become dynamic symbols; a
/// reference to anything outside the module is an error that names it.
StatusOr<std::string> linkSharedObject(llvm::Module &module,
                                       llvm::TargetMachine &machine);

} // namespace qopt::codegen

#endif // QOPT_LIB_CODEGEN_HOST_SHAREDOBJECT_H
