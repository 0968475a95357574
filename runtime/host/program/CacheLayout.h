// The host kernels' view of a plan's cache layer.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_HOST_PROGRAM_CACHELAYOUT_H
#define QOPT_RUNTIME_HOST_PROGRAM_CACHELAYOUT_H

#include "qopt/Status.h"
#include "runtime/BoundFunction.h"
#include "runtime/host/CachedAttention.h"
#include "runtime/plan/Plan_generated.h"

namespace qopt::runtime {

/// Unsupported where the host has no kernel: K and V heads of different sizes,
/// formats without one, pages that are no multiple of 16 positions.
StatusOr<host::KvCacheLayout> cacheLayout(const plan::CacheLayer &layer,
                                          int64_t page);

/// f16 elements that the layers of a decoder's step share
/// (host/LatestPositions.h).
StatusOr<int64_t> stepRowElements(const BoundFunction &function);

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_HOST_PROGRAM_CACHELAYOUT_H
