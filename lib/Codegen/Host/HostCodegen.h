// Machine code for a module of kernels: functions of one linalg.generic each
// (KernelLoops.h draws their form) become one ELF shared object without
// imports. Every kernel is exported as  void kernel(void *const *buffers, const
// int64_t *sizes, int64_t begin, int64_t end);  `buffers` in the order of the
// function's memref arguments, `sizes` of its index arguments, [begin, end) a
// piece of the kernel's range. A buffer that a kernel writes overlaps none of
// its others; i1 elements are bytes 0 and 1; elements are aligned to their own
// size, buffers need no more. The object also exports `qopt_target`, the name
// of the target, as a C string, which runtime/host/CodeObject checks.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_CODEGEN_HOST_HOSTCODEGEN_H
#define QOPT_LIB_CODEGEN_HOST_HOSTCODEGEN_H

#include "lib/Codegen/Host/HostTarget.h"
#include "lib/Codegen/Host/KernelLoops.h"

#include <string>
#include <vector>

namespace mlir {
class DialectRegistry;
class ModuleOp;
} // namespace mlir

namespace qopt::codegen {

/// One exported kernel.
struct HostKernel {
  std::string symbol;
  unsigned buffers; ///< entries of `buffers`
  unsigned sizes;   ///< entries of `sizes`
  KernelRange range;
};

/// A shared object and what is in it, in the order of the module.
struct HostCode {
  std::string object;
  std::vector<HostKernel> kernels;
};

/// The dialects and interfaces that code generation needs; a context that has
/// run no pass yet may also get them from generateHostCode itself.
void registerHostCodegen(mlir::DialectRegistry &registry);

/// Compiles every function of `kernels`, which stays as it is. Fails with a
/// diagnostic at the function that cannot be compiled.
mlir::FailureOr<HostCode> generateHostCode(mlir::ModuleOp kernels,
                                           const HostTarget &target);

} // namespace qopt::codegen

#endif // QOPT_LIB_CODEGEN_HOST_HOSTCODEGEN_H
