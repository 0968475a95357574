// Whether this process may use AMX, the matrix tiles of recent x86-64
// processors. The operating system gives the permission when it is asked.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_HOST_AMX_H
#define QOPT_RUNTIME_HOST_AMX_H

namespace qopt::host {

/// True when the processor has tiles with int8 and bf16 products and the
/// permission was given. Asks once.
bool amxAvailable();

} // namespace qopt::host

#endif // QOPT_RUNTIME_HOST_AMX_H
