// Whether what a session will take fits a device, before anything of it is
// loaded.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_MEMORYBUDGET_H
#define QOPT_RUNTIME_MEMORYBUDGET_H

#include "runtime/Device.h"

#include <span>
#include <string>

namespace qopt::runtime {

/// OutOfResources where the parts are more than `free` bytes: names `device`,
/// what is needed and free, each part, the largest first, and what makes them
/// fewer.
Status checkBudget(const std::string &device, size_t free,
                   std::span<const MemoryPart> parts);

/// "3.10 GB", "512 bytes"
std::string spellBytes(size_t bytes);

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_MEMORYBUDGET_H
