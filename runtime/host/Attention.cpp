// Dense attention: the keys of one head are transposed into groups of 16 once,
// then all queries of the heads that share them run in blocks.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/Attention.h"
#include "runtime/host/Scratch.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/host/Attention.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include "runtime/host/DenseAttention-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qopt::host::HWY_NAMESPACE {

constexpr int64_t denseBlockRows = 32;

/// One block of queries of one head against all keys.
HWY_INLINE void denseBlock(const AttentionArguments &a, const QueryBlock &block,
                           const float *groups, const float *values) {
  startBlock(block);
  int64_t first = a.keys, last = 0;
  for (int64_t r = 0; r < block.count; ++r) {
    first = HWY_MIN(first, block.rows[r].first);
    last = HWY_MAX(last, block.rows[r].last);
  }
  last = HWY_MIN(last, a.keys);
  for (int64_t start = first / chunkKeys * chunkKeys; start < last;
       start += chunkKeys) {
    KeyChunk chunk;
    chunk.start = start;
    chunk.keys = HWY_MIN(chunkKeys, last - start);
    for (int64_t t = 0; t < chunk.keys; t += groupKeys) {
      chunk.keyGroups[t / groupKeys] = groups + (start + t) * a.headSize;
      chunk.valueGroups[t / groupKeys] = values + (start + t) * a.valueSize;
    }
    attendChunk(block, chunk, scoreChunk<quant::ElementType::F32>,
                addValues<quant::ElementType::F32>);
  }
}

/// Blocks of one key head are numbered head by head, then query by query.
void attendDense(const AttentionArguments &a, int64_t begin, int64_t end) {
  const int64_t perHead = (a.queries + denseBlockRows - 1) / denseBlockRows;
  const int64_t sharing = a.heads / a.keyHeads;
  const int64_t perKeyHead = perHead * sharing;
  const int64_t paddedKeys = (a.keys + groupKeys - 1) / groupKeys * groupKeys;
  float *groups = static_cast<float *>(
      threadScratch((paddedKeys * a.headSize +
                     denseBlockRows * (a.headSize + a.valueSize + chunkKeys)) *
                    static_cast<int64_t>(sizeof(float))));
  float *scores = groups + paddedKeys * a.headSize;
  float *query = scores + denseBlockRows * chunkKeys;
  float *output = query + denseBlockRows * a.headSize;
  float maxima[denseBlockRows], sums[denseBlockRows];
  QueryRow rows[denseBlockRows];
  int64_t transposed = -1;
  for (int64_t task = begin; task < end; ++task) {
    const int64_t pair = task / perKeyHead, batch = pair / a.keyHeads;
    const int64_t head =
        pair % a.keyHeads * sharing + task % perKeyHead / perHead;
    const int64_t from = task % perHead * denseBlockRows;
    if (pair != transposed)
      transposeKeys(a.key + pair * a.keys * a.headSize, a.keys, a.headSize,
                    groups);
    transposed = pair;
    QueryBlock block{HWY_MIN(denseBlockRows, a.queries - from),
                     a.headSize,
                     a.valueSize,
                     &a.options,
                     rows,
                     query,
                     scores,
                     maxima,
                     sums,
                     output};
    auto rowAt = [&](int64_t r) {
      return (batch * a.queries + from + r) * a.heads + head;
    };
    for (int64_t r = 0; r < block.count; ++r) {
      rows[r] = denseRow(a, batch, head, from + r);
      std::memcpy(query + r * a.headSize, a.query + rowAt(r) * a.headSize,
                  a.headSize * sizeof(float));
    }
    denseBlock(a, block, groups, a.value + pair * a.keys * a.valueSize);
    for (int64_t r = 0; r < block.count; ++r) {
      float *y = output + r * a.valueSize;
      scaleRow(y, a.valueSize, sums[r] > 0 ? 1.0f / sums[r] : 0.0f);
      std::memcpy(a.output + rowAt(r) * a.valueSize, y,
                  a.valueSize * sizeof(float));
    }
  }
}

int64_t denseTasks(const AttentionArguments &a) {
  return a.batch * a.heads *
         ((a.queries + denseBlockRows - 1) / denseBlockRows);
}

} // namespace qopt::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qopt::host {

HWY_EXPORT(attendDense);
HWY_EXPORT(denseTasks);

void attention(const AttentionArguments &arguments, ThreadPool &pool) {
  if (arguments.queries == 0 || arguments.batch == 0)
    return;
  auto body = HWY_DYNAMIC_DISPATCH(attendDense);
  int64_t tasks = HWY_DYNAMIC_DISPATCH(denseTasks)(arguments);
  int64_t products = std::min<int64_t>(arguments.queries, 32) * arguments.keys *
                     (arguments.headSize + arguments.valueSize);
  pool.parallelFor(
      tasks, 65536 / (products + 1) + 1,
      [&](int64_t begin, int64_t end) { body(arguments, begin, end); });
}

} // namespace qopt::host
#endif // HWY_ONCE
