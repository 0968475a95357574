// For a program that a signal ends while it compiles. Apart from the folders
// themselves, so that tools need no header of LLVM.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_CODEGEN_REMOVETEMPORARYFOLDERS_H
#define QOPT_LIB_CODEGEN_REMOVETEMPORARYFOLDERS_H

#include <mutex>

namespace qopt::codegen {

/// Removes every TemporaryFolder that there is now. While the result lives none
/// is made or removed; who tries waits. Not for a signal handler, but for a
/// thread that one has woken.
[[nodiscard]] std::unique_lock<std::mutex> removeTemporaryFolders();

} // namespace qopt::codegen

#endif // QOPT_LIB_CODEGEN_REMOVETEMPORARYFOLDERS_H
