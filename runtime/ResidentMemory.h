// What a decoder takes in memory while it serves some sequences: weights, the
// cache, and what steps work in. Known from the artifact alone; no device is
// needed.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_RESIDENTMEMORY_H
#define QOPT_RUNTIME_RESIDENTMEMORY_H

#include "qopt/Artifact.h"
#include "runtime/Device.h"

#include <vector>

namespace qopt::runtime {

/// What is served at once.
struct ServedBatch {
  int64_t sequences = 1;
  int64_t positions = 1;  ///< of each sequence, at most
  int64_t stepTokens = 1; ///< that one step reads, at most
};

/// Positions of the cache with which all sequences run at once, each of whole
/// pages; saturated.
int64_t cachePositions(const Artifact &artifact, const ServedBatch &batch);

/// Bytes of the cache and of steps of a decoder, each saturated, with no
/// remedies.
StatusOr<std::vector<MemoryPart>> servingParts(const Artifact &artifact,
                                               const ServedBatch &batch);

/// Of the segments that steps read.
size_t constantBytes(const Artifact &artifact);

/// constantBytes and all of servingParts.
StatusOr<size_t> residentBytes(const Artifact &artifact,
                               const ServedBatch &batch);

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_RESIDENTMEMORY_H
