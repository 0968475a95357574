// What a decode step cannot avoid reading: its weights and the cache.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTBENCH_BYTESPERSTEP_H
#define QOPT_TOOLS_QOPTBENCH_BYTESPERSTEP_H

#include "qopt/Artifact.h"

#include <cstdint>

namespace qopt::bench {

/// Bytes of one decode step with one token for each of `batch` sequences that
/// are `context` positions long. Constants count once, tables of embeddings
/// with a row for each sequence.
struct BytesPerStep {
  int64_t weights = 0;
  int64_t cache = 0;
  int64_t total() const { return weights + cache; }
};
StatusOr<BytesPerStep> bytesPerStep(const Artifact &artifact, int64_t context,
                                    int64_t batch);

} // namespace qopt::bench

#endif // QOPT_TOOLS_QOPTBENCH_BYTESPERSTEP_H
