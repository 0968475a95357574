// What ptxas says of the kernels that it assembled, as data: registers, memory,
// code size, and the advisories that mean slow code. The artifact stores it,
// reports print it, and hot kernels must be clean.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_CODEGEN_CUDA_KERNELRESOURCES_H
#define QOPT_LIB_CODEGEN_CUDA_KERNELRESOURCES_H

#include "qopt/Status.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"

#include <cstdint>
#include <string>
#include <vector>

namespace qopt::codegen {

/// One kernel on one architecture. Bytes are per thread where they say so.
struct KernelResources {
  std::string symbol;
  int registers = 0;       ///< per thread
  int barriers = 0;        ///< named barriers
  int sharedBytes = 0;     ///< static, per block; dynamic comes on top
  int localBytes = 0;      ///< stack, per thread
  int spillStoreBytes = 0; ///< per thread
  int spillLoadBytes = 0;  ///< per thread
  int64_t codeBytes = 0;
  /// Advisories C75xx in ptxas' words: registers that setmaxnreg could not
  /// move, wgmma that was serialised.
  std::vector<std::string> advisories;
};

/// Reads what `ptxas -v` printed. An advisory that names no kernel counts for
/// all of them. Code sizes stay 0: they are in the cubin.
std::vector<KernelResources> parsePtxasReport(llvm::StringRef report);

/// Reads the sizes of the sections .text.<kernel> of a cubin; fails when it is
/// no ELF file or lacks a kernel.
Status readCodeSizes(llvm::StringRef cubin,
                     std::vector<KernelResources> &kernels);

/// What to do about a schedule that nobody asked for.
inline constexpr llvm::StringLiteral reportSchedule =
    "The schedule is qopt's own choice: report this line; other --weights have "
    "others";

/// Fails at the first kernel that `isHot` and spills, uses local memory or has
/// an advisory; the message names all that do, each with its schedule where
/// `scheduleOf` is given, and ends with `nextStep`.
Status requireClean(
    const std::vector<KernelResources> &kernels,
    llvm::function_ref<bool(llvm::StringRef)> isHot,
    llvm::function_ref<std::string(llvm::StringRef)> scheduleOf = nullptr,
    llvm::StringRef nextStep = reportSchedule);

} // namespace qopt::codegen

#endif // QOPT_LIB_CODEGEN_CUDA_KERNELRESOURCES_H
