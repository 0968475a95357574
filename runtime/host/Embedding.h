// Embedding: rows of a table by index, as f32. The table is in canonical
// storage (lib/Quant/Storage.h), where a row is contiguous, or packed
// (LinearLayout.h) where it is also the weight of the last linear layer.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_HOST_EMBEDDING_H
#define QOPT_RUNTIME_HOST_EMBEDDING_H

#include "runtime/host/LinearLayout.h"
#include "runtime/host/ThreadPool.h"

namespace qopt::host {

/// output[i, :] = table[ids[i], :].
struct EmbeddingArguments {
  quant::Format format;
  int64_t rows = 0;             ///< of the table
  int64_t columns = 0;          ///< hidden size
  quant::StoredRows stored;     ///< canonical storage, or …
  const void *packed = nullptr; ///< … a packed weight
  int64_t count = 0;            ///< number of ids
  const int32_t *ids = nullptr; ///< [count], or …
  const int64_t *wideIds = nullptr;
  float *output = nullptr; ///< [count, columns] contiguous
};

/// Returns -1, or the index i of the first id outside [0, rows), in which case
/// nothing is written.
int64_t embedding(const EmbeddingArguments &arguments, ThreadPool &pool);

} // namespace qopt::host

#endif // QOPT_RUNTIME_HOST_EMBEDDING_H
