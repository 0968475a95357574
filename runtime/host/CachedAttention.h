// Attention of a ragged batch over a paged KV cache, and the kernel that
// appends to the cache. The formula is Attention.h's (causal, but for sources);
// with ALiBi slopes m the score of a query at position p and a key at position
// j gets m[h]·(j − p), with biases b of distances b[h, min(p − j, N − 1)].
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_HOST_CACHEDATTENTION_H
#define QOPT_RUNTIME_HOST_CACHEDATTENTION_H

#include "runtime/host/Attention.h"
#include "runtime/host/KeyRotation.h"
#include "runtime/host/KvCacheLayout.h"
#include "runtime/host/SumOrder.h"
#include "runtime/host/ThreadPool.h"

namespace qopt::host {

/// Which tokens of a flat [T, …] array belong to which sequence.
struct RaggedBatch {
  int64_t sequences = 0;
  const int32_t *tokenStarts = nullptr; ///< [sequences + 1], rising from 0 to T
  const int32_t *contextStarts = nullptr; ///< [sequences] position of the first
                                          ///< of its new tokens
  const int32_t *pageTable = nullptr;     ///< page numbers [sequences, stride]
  int64_t pageTableStride = 0;
  const int32_t *slots = nullptr; ///< [sequences], where a layer has slots
  /// [sequences], where the pages are those of sources: their positions, all of
  /// which every token of the sequence sees.
  const int32_t *sourceLengths = nullptr;
  int64_t tokens() const { return tokenStarts[sequences]; }
};

/// key and value [T, keyHeads, headSize]: heads contiguous, tokens a stride
/// apart. `pages` is the first byte of the layer's pages (64-byte aligned).
struct KvAppendArguments {
  KvCacheLayout layout;
  RaggedBatch batch;
  void *pages = nullptr;
  const float *key = nullptr;
  int64_t keyStride = 0;
  const float *value = nullptr;
  int64_t valueStride = 0;
  uint16_t *stepRows = nullptr; ///< LatestPositions.h; with layout.recent
};

/// Writes the new tokens at their positions; rounds to nearest even.
void kvAppend(const KvAppendArguments &arguments, ThreadPool &pool);

/// The tokens [begin, end) of it, on the calling thread; only their values,
/// where the layout has groups of keys.
void appendTokens(const KvAppendArguments &arguments, int64_t begin,
                  int64_t end);

/// query and output [T, heads, headSize]. The new tokens' keys and values are
/// in the cache already. `options.causal` is taken as true, but for sources.
struct CachedAttentionArguments {
  KvCacheLayout layout;
  RaggedBatch batch;
  const void *pages = nullptr;
  const uint16_t *stepRows = nullptr; ///< as kvAppend has left it
  int64_t heads = 0;                  ///< a multiple of layout.keyHeads
  const float *query = nullptr;
  int64_t queryStride = 0; ///< elements from token to token
  float *output = nullptr;
  int64_t outputStride = 0;
  ScoreOptions options;
  const float *alibiSlopes = nullptr;    ///< [heads], or null
  const float *distanceBiases = nullptr; ///< [heads, distances], or null
  int64_t distances = 0;
  KeyRotation keyRotation; ///< where keys are stored ahead of it; no order
  /// Of the sums; null for the fastest.
  const AttentionSumOrder *order = nullptr;
};

/// Why attention over such a cache cannot have the order; ok if it can.
Status isValid(const AttentionSumOrder &order, const KvCacheLayout &layout);

/// In the order of `arguments.order`, rounded as the kernels of GPUs do.
void orderedCachedAttention(const CachedAttentionArguments &arguments,
                            ThreadPool &pool);

/// A token's result does not depend on what else is in the batch, but for the
/// order of a GPU's sums.
void cachedAttention(const CachedAttentionArguments &arguments,
                     ThreadPool &pool);

} // namespace qopt::host

#endif // QOPT_RUNTIME_HOST_CACHEDATTENTION_H
