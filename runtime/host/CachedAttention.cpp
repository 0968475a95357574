// Attention over the paged cache. A task is a block of query tokens of one
// sequence with all query heads that share one key head: a key that has been
// loaded and widened serves all of them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/CachedAttention.h"
#include "lib/Quant/FloatConversion.h"
#include "runtime/host/KeyGroups.h"
#include "runtime/host/LatestPositions.h"
#include "runtime/host/Scratch.h"

#include <algorithm>
#include <vector>

#ifndef QOPT_RUNTIME_HOST_CACHEDATTENTION_ONCE
#define QOPT_RUNTIME_HOST_CACHEDATTENTION_ONCE
namespace qopt::host {
/// Tokens [begin, end) of the flat array, all of one sequence.
struct QueryTokens {
  int64_t sequence, begin, end;
};
/// Query rows of a block: tokens × heads that share a key head.
constexpr int64_t cachedBlockRows = 32;
/// Positions by how they are read (LatestPositions.h), in the order in which
/// they are attended to.
enum class Part : uint8_t { First, Codes, Latest };
} // namespace qopt::host
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/host/CachedAttention.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include "runtime/host/AttentionTile-inl.h"
#include "runtime/host/KeyGroups-inl.h"
#include "runtime/host/KeyRotation-inl.h"
#include "runtime/host/ValueGroups-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qopt::host::HWY_NAMESPACE {

/// Scales of one chunk as f32.
struct ChunkScales {
  HWY_ALIGN float key[chunkKeys], value[chunkKeys];
};

/// The pointers and scales of one chunk from the page table; those of keys mean
/// nothing where they are in groups.
HWY_INLINE void findChunk(const CachedAttentionArguments &a, int64_t sequence,
                          int64_t keyHead, KeyChunk &chunk,
                          ChunkScales &scales) {
  const KvCacheLayout &layout = a.layout;
  const int32_t *table = a.batch.pageTable + sequence * a.batch.pageTableStride;
  const int64_t pageBytes = layout.pageBytes();
  chunk.keyScales = layout.keyScales() ? scales.key : nullptr;
  chunk.valueScales = layout.valueScales() ? scales.value : nullptr;
  for (int64_t t = 0; t < chunk.keys; t += groupKeys) {
    const int64_t token = chunk.start + t, slot = token % layout.pageTokens;
    const int64_t inPage = slot / groupKeys * groupKeys;
    const uint8_t *page = static_cast<const uint8_t *>(a.pages) +
                          table[token / layout.pageTokens] * pageBytes;
    const uint8_t *keys = page + keyHead * layout.keyHeadBytes();
    const uint8_t *values =
        page + layout.valueOffset() + keyHead * layout.valueHeadBytes();
    chunk.keyGroups[t / groupKeys] = keys + inPage * layout.keyRowBytes();
    chunk.valueGroups[t / groupKeys] = values + inPage * layout.valueRowBytes();
    if (layout.keyScales())
      widenScales(keys + layout.keyCodeBytes() + slot * 2, chunk.keys - t,
                  scales.key + t);
    if (layout.valueScales())
      widenScales(values + layout.valueCodeBytes() + slot * 2, chunk.keys - t,
                  scales.value + t);
  }
}

inline ScoreFunction scoreFunction(quant::ElementType type) {
  switch (type) {
  case quant::ElementType::F32:
    return scoreChunk<quant::ElementType::F32>;
  case quant::ElementType::F16:
    return scoreChunk<quant::ElementType::F16>;
  case quant::ElementType::BF16:
    return scoreChunk<quant::ElementType::BF16>;
  case quant::ElementType::Int8:
    return scoreChunk<quant::ElementType::Int8>;
  case quant::ElementType::Fp8E4m3:
    return scoreChunk<quant::ElementType::Fp8E4m3>;
  default:
    return scoreChunk<quant::ElementType::Int4>;
  }
}
inline ValueFunction valueFunction(quant::ElementType type) {
  switch (type) {
  case quant::ElementType::F32:
    return addValues<quant::ElementType::F32>;
  case quant::ElementType::F16:
    return addValues<quant::ElementType::F16>;
  case quant::ElementType::BF16:
    return addValues<quant::ElementType::BF16>;
  case quant::ElementType::Int8:
    return addValues<quant::ElementType::Int8>;
  case quant::ElementType::Fp8E4m3:
    return addValues<quant::ElementType::Fp8E4m3>;
  default:
    return addValues<quant::ElementType::Int4>;
  }
}

/// Fills the rows of a block: token by token, head by head.
HWY_INLINE void gatherQueries(const CachedAttentionArguments &a,
                              const QueryTokens &tokens, int64_t keyHead,
                              QueryRow *rows, float *query) {
  const int64_t sharing = a.heads / a.layout.keyHeads;
  const int64_t size = a.layout.headSize;
  int64_t position = a.batch.contextStarts[tokens.sequence] + tokens.begin -
                     a.batch.tokenStarts[tokens.sequence];
  for (int64_t token = tokens.begin; token < tokens.end; ++token, ++position) {
    const float *source =
        a.query + token * a.queryStride + keyHead * sharing * size;
    std::memcpy(query, source, sharing * size * sizeof(float));
    query += sharing * size;
    for (int64_t h = 0; h < sharing; ++h, ++rows) {
      *rows = QueryRow();
      rows->position = position;
      if (a.alibiSlopes)
        rows->slope = a.alibiSlopes[keyHead * sharing + h];
      if (a.distanceBiases) {
        rows->biases = a.distanceBiases + (keyHead * sharing + h) * a.distances;
        rows->distances = a.distances;
      }
    }
  }
}

/// The positions of a part that each of the rows reads.
HWY_INLINE void setRanges(const CachedAttentionArguments &a, int64_t sequence,
                          Part part, QueryRow *rows, int64_t count) {
  const int64_t window = a.options.window, recent = a.layout.recent;
  const int32_t *sources = a.batch.sourceLengths;
  for (QueryRow *row = rows; row < rows + count; ++row) {
    const int64_t end = sources ? sources[sequence] : row->position + 1;
    const int64_t begin = window ? HWY_MAX(end - window, 0) : 0;
    const int64_t latest = recent ? HWY_MAX(end - recent, begin) : end;
    row->first = part == Part::First   ? begin
                 : part == Part::Codes ? HWY_MAX(begin, a.layout.first)
                                       : latest;
    row->last = part == Part::First   ? HWY_MIN(a.layout.first, latest)
                : part == Part::Codes ? latest
                                      : end;
  }
}

/// f16 keys and values that lie in groups from the position `base` on; those
/// of earlier ones are not read.
HWY_INLINE void findHalves(const uint16_t *keys, const uint16_t *values,
                           int64_t base, int64_t size, KeyChunk &chunk) {
  chunk.keyScales = chunk.valueScales = nullptr;
  for (int64_t t = 0; t < chunk.keys; t += groupKeys) {
    const int64_t row = HWY_MAX(chunk.start + t - base, 0);
    chunk.keyGroups[t / groupKeys] = keys + row * size;
    chunk.valueGroups[t / groupKeys] = values + row * size;
  }
}

/// A block of queries with what it needs to read its chunks.
struct CachedBlock {
  const CachedAttentionArguments &a;
  int64_t sequence, keyHead;
  QueryBlock queries;
  QueryRow *rows;          ///< of `queries`
  float *keys, *values;    ///< [chunkKeys][D], for groups and rotation
  Angle *angles;           ///< [2][R/2], for rotation
  ChunkScales scales = {}; ///< of a chunk
};

/// One chunk of a part: finds it, widens what has scales in groups, attends.
HWY_INLINE void attendPartChunk(CachedBlock &block, Part part,
                                KeyChunk &chunk) {
  const CachedAttentionArguments &a = block.a;
  const KvCacheLayout &layout = a.layout;
  quant::ElementType key = quant::ElementType::F16, value = key;
  if (part == Part::First) {
    const SlotHead<const uint16_t> slot(
        layout, static_cast<const uint8_t *>(a.pages),
        a.batch.slots[block.sequence], block.keyHead);
    findHalves(slot.firstKeys, slot.firstValues, 0, layout.headSize, chunk);
  } else if (part == Part::Latest) {
    const StepRows at(layout, a.batch, block.sequence, block.keyHead);
    findHalves(a.stepRows + at.element, a.stepRows + at.valueElement(layout),
               at.base, layout.headSize, chunk);
  } else {
    key = layout.key.element, value = layout.value.element;
    findChunk(a, block.sequence, block.keyHead, chunk, block.scales);
    if (layout.keyGroup()) {
      widenKeys(a, block.sequence, block.keyHead, chunk, block.keys);
      key = quant::ElementType::F32;
    }
    if (layout.valueGroup()) {
      widenValues(a, block.sequence, block.keyHead, chunk, block.values);
      value = quant::ElementType::F32;
    }
  }
  if (a.keyRotation.count) {
    // Positions rise from row to row; attendChunk reads no earlier group.
    const int64_t before = HWY_MAX(block.rows[0].first - chunk.start, 0);
    rotateKeys(a.keyRotation, key, layout.headSize, before / groupKeys, chunk,
               block.angles, block.keys);
    key = quant::ElementType::F32;
  }
  attendChunk(block.queries, chunk, scoreFunction(key), valueFunction(value));
}

HWY_INLINE void attendPart(CachedBlock &block, Part part) {
  const int64_t count = block.queries.count;
  setRanges(block.a, block.sequence, part, block.rows, count);
  // Positions rise from row to row.
  const int64_t first = block.rows[0].first, last = block.rows[count - 1].last;
  KeyChunk chunk;
  chunk.start = first / chunkKeys * chunkKeys;
  for (; first < last && chunk.start < last; chunk.start += chunkKeys) {
    chunk.keys = HWY_MIN(chunkKeys, last - chunk.start);
    attendPartChunk(block, part, chunk);
  }
}

/// One block of tokens and one key head.
HWY_INLINE void attendTokens(const CachedAttentionArguments &a,
                             const QueryTokens &tokens, int64_t keyHead) {
  const int64_t sharing = a.heads / a.layout.keyHeads;
  const int64_t size = a.layout.headSize;
  const int64_t count = (tokens.end - tokens.begin) * sharing;
  constexpr auto floatBytes = static_cast<int64_t>(sizeof(float));
  const int64_t rowBytes = (2 * size + chunkKeys + 2) * floatBytes +
                           static_cast<int64_t>(sizeof(QueryRow));
  const int64_t wideKeys =
      a.layout.keyGroup() || a.keyRotation.count ? chunkKeys * size : 0;
  const int64_t wideValues = a.layout.valueGroup() ? chunkKeys * size : 0;
  float *keys = static_cast<float *>(threadScratch(
      (wideKeys + wideValues + 4 * a.keyRotation.count) * floatBytes +
      count * rowBytes));
  float *values = keys + wideKeys;
  float *scores = values + wideValues;
  float *query = scores + count * chunkKeys;
  float *output = query + count * size;
  float *maxima = output + count * size;
  float *sums = maxima + count;
  QueryRow *rows = reinterpret_cast<QueryRow *>(sums + count);
  Angle *angles = reinterpret_cast<Angle *>(rows + count);
  gatherQueries(a, tokens, keyHead, rows, query);
  CachedBlock block{a,
                    tokens.sequence,
                    keyHead,
                    {count, size, size, &a.options, rows, query, scores, maxima,
                     sums, output},
                    rows,
                    keys,
                    values,
                    angles};
  startBlock(block.queries);
  if (a.layout.first)
    attendPart(block, Part::First);
  attendPart(block, Part::Codes);
  if (a.layout.recent)
    attendPart(block, Part::Latest);
  for (int64_t r = 0; r < count; ++r)
    scaleRow(output + r * size, size, 1.0f / sums[r]);
  for (int64_t token = tokens.begin; token < tokens.end; ++token)
    std::memcpy(a.output + token * a.outputStride + keyHead * sharing * size,
                output + (token - tokens.begin) * sharing * size,
                sharing * size * sizeof(float));
}

void attendTasks(const CachedAttentionArguments &a, const QueryTokens *blocks,
                 int64_t begin, int64_t end) {
  for (int64_t task = begin; task < end; ++task)
    attendTokens(a, blocks[task / a.layout.keyHeads], task % a.layout.keyHeads);
}

} // namespace qopt::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qopt::host {

HWY_EXPORT(attendTasks);

/// Cuts every sequence into blocks of at most `size` tokens and counts
/// products.
static std::vector<QueryTokens> cutTokens(const RaggedBatch &batch,
                                          int64_t size, int64_t &keys) {
  std::vector<QueryTokens> blocks;
  for (int64_t s = 0; s < batch.sequences; ++s) {
    int64_t end = batch.tokenStarts[s + 1];
    for (int64_t at = batch.tokenStarts[s]; at < end; at += size) {
      blocks.push_back({s, at, std::min(at + size, end)});
      int64_t first = batch.contextStarts[s] + at - batch.tokenStarts[s] + 1;
      keys += (blocks.back().end - at) *
              (batch.sourceLengths ? batch.sourceLengths[s] : first);
    }
  }
  return blocks;
}

void cachedAttention(const CachedAttentionArguments &arguments,
                     ThreadPool &pool) {
  if (arguments.order)
    return orderedCachedAttention(arguments, pool);
  int64_t sharing = arguments.heads / arguments.layout.keyHeads;
  int64_t size = std::max<int64_t>(cachedBlockRows / sharing, 1);
  int64_t keys = 0;
  std::vector<QueryTokens> blocks = cutTokens(arguments.batch, size, keys);
  if (blocks.empty())
    return;
  int64_t tasks =
      static_cast<int64_t>(blocks.size()) * arguments.layout.keyHeads;
  int64_t products =
      keys * arguments.heads * arguments.layout.headSize * 2 / tasks;
  auto body = HWY_DYNAMIC_DISPATCH(attendTasks);
  pool.parallelFor(tasks, 16384 / (products + 1) + 1,
                   [&](int64_t begin, int64_t end) {
                     body(arguments, blocks.data(), begin, end);
                   });
}

} // namespace qopt::host
#endif // HWY_ONCE
