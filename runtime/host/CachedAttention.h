// Attention of a ragged batch over a paged KV cache, and the kernel that
// appends to the cache. The formula is Attention.h's (causal always); with
// ALiBi slopes m the score of a query at position p and a key at position j
// gets m[h]·(j − p).
//
// A page holds `pageTokens` (a multiple of 16) consecutive tokens of one
// sequence and one layer. Within a page K and V are apart, and heads are apart
// in each. Keys are transposed in groups of 16 tokens, so that the scores of 16
// tokens are one vector and need no sum across lanes; values are not:
//
//   page:  | K head 0 | K head 1 | … | V head 0 | V head 1 | … |
//
//   K head [pageTokens/16][D][16]           V head [pageTokens][D]
//      d=0  [ t0 t1 … t15 ]                    t0 [ d0 d1 … d(D−1) ]
//      d=1  [ t0 t1 … t15 ]                    t1 [ d0 d1 … d(D−1) ]
//
// Keys of a few bits lie otherwise: KeyGroups.h.
//
// A layer of the cache is an array of pages; a page table gives for each
// sequence the pages that hold its tokens 0…, in order. All layers use the same
// table.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_HOST_CACHEDATTENTION_H
#define QOPT_RUNTIME_HOST_CACHEDATTENTION_H

#include "lib/Quant/Format.h"
#include "runtime/host/Attention.h"
#include "runtime/host/ThreadPool.h"

namespace qopt::host {

/// Sizes of a cache; K and V are f32, f16 or bf16 each, or K is int8 or int4
/// with `keyGroup`.
struct KvCacheLayout {
  int64_t keyHeads = 0;
  int64_t headSize = 0;
  int64_t pageTokens = 16;
  quant::ElementType keyType = quant::ElementType::F16;
  quant::ElementType valueType = quant::ElementType::F16;
  /// Positions whose keys share a scale in each channel: a multiple of 32 that
  /// divides a page; 0: keys have no scales.
  int64_t keyGroup = 0;
  bool keyOffsets = false; ///< and an offset in each channel

  static int64_t elementBytes(quant::ElementType type) {
    return type == quant::ElementType::F32 ? 4 : 2;
  }
  int64_t keyHeadBytes() const {
    if (!keyGroup)
      return pageTokens * headSize * elementBytes(keyType);
    return (keyCodeBytes() + pageTokens / keyGroup * keyScaleBytes() + 63) &
           ~63;
  }
  /// Of a head's keys in a page, where they have scales.
  int64_t keyCodeBytes() const {
    int64_t bits = keyType == quant::ElementType::Int4 ? 4 : 8;
    return pageTokens * headSize * bits / 8;
  }
  /// Of the scales and offsets of a group.
  int64_t keyScaleBytes() const { return headSize * (keyOffsets ? 4 : 2); }
  /// Bytes of what a layer keeps of a sequence beside its pages.
  int64_t slotBytes() const {
    return (keyHeads * keyGroup * headSize * 2 + 63) & ~63;
  }
  int64_t valueHeadBytes() const {
    return pageTokens * headSize * elementBytes(valueType);
  }
  int64_t valueOffset() const { return keyHeads * keyHeadBytes(); }
  /// Bytes of one page of one layer.
  int64_t pageBytes() const {
    return keyHeads * (keyHeadBytes() + valueHeadBytes());
  }
};

/// Which tokens of a flat [T, …] array belong to which sequence.
struct RaggedBatch {
  int64_t sequences = 0;
  const int32_t *tokenStarts = nullptr; ///< [sequences + 1], rising from 0 to T
  const int32_t *contextStarts = nullptr; ///< [sequences] position of the first
                                          ///< of its new tokens
  const int32_t *pageTable = nullptr;     ///< page numbers [sequences, stride]
  int64_t pageTableStride = 0;
  const int32_t *slots = nullptr; ///< [sequences], with KvCacheLayout::keyGroup
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
};

/// Writes the new tokens at their positions; rounds to nearest even.
void kvAppend(const KvAppendArguments &arguments, ThreadPool &pool);

/// The tokens [begin, end) of it, on the calling thread; only their values,
/// where the layout has groups of keys.
void appendTokens(const KvAppendArguments &arguments, int64_t begin,
                  int64_t end);

/// query and output [T, heads, headSize]. The new tokens' keys and values are
/// in the cache already. `options.causal` is taken as true.
struct CachedAttentionArguments {
  KvCacheLayout layout;
  RaggedBatch batch;
  const void *pages = nullptr;
  int64_t heads = 0; ///< a multiple of layout.keyHeads
  const float *query = nullptr;
  int64_t queryStride = 0; ///< elements from token to token
  float *output = nullptr;
  int64_t outputStride = 0;
  ScoreOptions options;
  const float *alibiSlopes = nullptr; ///< [heads], or null
};

/// A token's result does not depend on what else is in the batch.
void cachedAttention(const CachedAttentionArguments &arguments,
                     ThreadPool &pool);

} // namespace qopt::host

#endif // QOPT_RUNTIME_HOST_CACHEDATTENTION_H
