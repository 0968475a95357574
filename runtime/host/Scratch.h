// Working memory of a kernel on one thread, for panels that are unpacked or
// scores that wait for their softmax. It grows to the largest need and stays
// until the thread ends.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_HOST_SCRATCH_H
#define QOPT_RUNTIME_HOST_SCRATCH_H

#include <cstdint>

namespace qopt::host {

/// At least `bytes` bytes, aligned to 64, of this thread. The content is
/// undefined, and a later call on the same thread may move or reuse it: a
/// kernel calls this once.
void *threadScratch(int64_t bytes);

} // namespace qopt::host

#endif // QOPT_RUNTIME_HOST_SCRATCH_H
