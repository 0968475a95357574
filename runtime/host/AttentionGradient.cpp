// Three passes, each split over what it writes: heads are laid out as the
// products read them; blocks of queries give dq and the two numbers of each
// query that its softmax leaves (L and dy · y); blocks of keys give dk and dv.
// Both directions are the products of forward attention: a block of keys
// against all queries is a block of queries against all keys with the names
// exchanged.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/AttentionGradient.h"
#include "runtime/host/Scratch.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/host/AttentionGradient.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include "runtime/host/DenseAttention-inl.h"

#ifndef QOPT_RUNTIME_HOST_ATTENTIONGRADIENT_ONCE
#define QOPT_RUNTIME_HOST_ATTENTIONGRADIENT_ONCE
namespace qopt::host {

constexpr int64_t gradientBlockRows = 32;

/// Rows of one operand by head: as they are, and in transposed groups of 16.
struct HeadRows {
  const float *rows = nullptr; ///< [heads][count][size]
  float *copy = nullptr;       ///< the same, where this pass has to make them
  float *groups = nullptr;     ///< [heads][padded / 16][size][16]
  int64_t count = 0, padded = 0, size = 0;

  const float *rowsOf(int64_t head) const { return rows + head * count * size; }
  float *groupsOf(int64_t head) const { return groups + head * padded * size; }
};

/// What the passes share. Queries' heads are numbered batch · heads + head,
/// keys' batch · keyHeads + head.
struct GradientWorkspace {
  explicit GradientWorkspace(const AttentionGradientArguments &arguments)
      : a(arguments) {
    const AttentionArguments &f = a.forward;
    int64_t heads = f.batch * f.heads, keyHeads = f.batch * f.keyHeads;
    int64_t needed = 0;
    auto plan = [&](HeadRows &rows, int64_t number, int64_t count, int64_t size,
                    const float *inPlace) {
      rows.count = count;
      rows.padded = (count + groupKeys - 1) / groupKeys * groupKeys;
      rows.size = size;
      rows.rows = inPlace;
      needed += number * size * (rows.padded + (inPlace ? 0 : count));
    };
    plan(queries, heads, f.queries, f.headSize, nullptr);
    plan(gradients, heads, f.queries, f.valueSize, nullptr);
    plan(keys, keyHeads, f.keys, f.headSize, f.key);
    plan(values, keyHeads, f.keys, f.valueSize, f.value);
    memory.resize(size_t(needed + 2 * heads * queries.padded));
    float *next = memory.data();
    auto take = [&](int64_t count) {
      return std::exchange(next, next + count);
    };
    for (HeadRows *rows : {&queries, &gradients}) {
      rows->copy = take(heads * rows->count * rows->size);
      rows->rows = rows->copy;
      rows->groups = take(heads * rows->padded * rows->size);
    }
    for (HeadRows *rows : {&keys, &values})
      rows->groups = take(keyHeads * rows->padded * rows->size);
    logSums = take(heads * queries.padded);
    dots = take(heads * queries.padded);
  }

  const AttentionGradientArguments &a;
  HeadRows queries, gradients, keys, values;
  float *logSums = nullptr; ///< [batch · heads][padded queries]
  float *dots = nullptr;    ///< dy · y, the same shape

private:
  std::vector<float> memory;
};

} // namespace qopt::host
#endif // once

HWY_BEFORE_NAMESPACE();
namespace qopt::host::HWY_NAMESPACE {

/// Heads [begin, end) of queries and dy, then of keys and values.
void layOutHeads(const GradientWorkspace &work, int64_t begin, int64_t end) {
  const AttentionArguments &f = work.a.forward;
  auto gather = [&](const HeadRows &to, const float *from, int64_t head) {
    const int64_t batch = head / f.heads, inBatch = head % f.heads;
    float *rows = to.copy + head * to.count * to.size;
    for (int64_t i = 0; i < to.count; ++i)
      std::memcpy(rows + i * to.size,
                  from + ((batch * to.count + i) * f.heads + inBatch) * to.size,
                  to.size * sizeof(float));
  };
  auto transpose = [](const HeadRows &rows, int64_t head) {
    transposeKeys(rows.rowsOf(head), rows.count, rows.size,
                  rows.groupsOf(head));
  };
  const int64_t heads = f.batch * f.heads;
  for (int64_t i = begin; i < end; ++i) {
    if (i < heads) {
      gather(work.queries, f.query, i);
      gather(work.gradients, work.a.outputGradient, i);
      transpose(work.queries, i);
      transpose(work.gradients, i);
    } else {
      transpose(work.keys, i - heads);
      transpose(work.values, i - heads);
    }
  }
}

/// The part of `rows` that begins at `start`, at most a chunk: groups to
/// multiply by, and rows to sum.
HWY_INLINE KeyChunk chunkAt(const HeadRows &groups, const HeadRows &rows,
                            int64_t head, int64_t start, int64_t end) {
  KeyChunk chunk;
  chunk.start = start;
  chunk.keys = HWY_MIN(chunkKeys, end - start);
  for (int64_t t = 0; t < chunk.keys; t += groupKeys) {
    chunk.keyGroups[t / groupKeys] =
        groups.groupsOf(head) + (start + t) * groups.size;
    chunk.valueGroups[t / groupKeys] =
        rows.rowsOf(head) + (start + t) * rows.size;
  }
  return chunk;
}

/// What a block of rows sees: [first, last), from the start of a chunk.
struct SeenRange {
  int64_t first, last;
};
HWY_INLINE SeenRange seenBy(const QueryRow *rows, int64_t count, int64_t all) {
  SeenRange seen{all, 0};
  for (int64_t r = 0; r < count; ++r) {
    seen.first = HWY_MIN(seen.first, rows[r].first);
    seen.last = HWY_MAX(seen.last, rows[r].last);
  }
  seen.first = seen.first / chunkKeys * chunkKeys;
  seen.last = HWY_MIN(seen.last, all);
  return seen;
}

/// Products of the block's rows with the groups of a chunk, from the first that
/// one of them sees.
HWY_INLINE void multiplyGroups(const QueryBlock &block, const KeyChunk &chunk) {
  int64_t first = chunk.keys;
  for (int64_t r = 0; r < block.count; ++r)
    first = HWY_MIN(first, block.rows[r].first - chunk.start);
  scoreChunk<quant::ElementType::F32>(block, chunk,
                                      HWY_MAX(first, 0) / groupKeys,
                                      (chunk.keys + groupKeys - 1) / groupKeys);
}

/// L and dy · y of a query: a number for a row of scores, or one for each
/// column where rows are keys.
template <bool perColumn> struct RowStatistics {
  const float *logSums;
  const float *dots;

  HWY_INLINE static FloatVector at(const float *numbers, int64_t t) {
    const FloatTag d;
    return perColumn ? hn::LoadU(d, numbers + t) : hn::Set(d, *numbers);
  }
};

/// From raw scores u and products dy · v of one row to P and dU, in place.
template <bool perColumn>
HWY_INLINE void finishGradients(const ScoreOptions &options,
                                const QueryRow &row, const KeyChunk &chunk,
                                RowStatistics<perColumn> statistics,
                                float *scores, float *products) {
  const FloatTag d;
  const hn::RebindToSigned<FloatTag> di;
  const auto first = hn::Set(di, static_cast<int>(row.first - chunk.start));
  const auto last = hn::Set(
      di, static_cast<int>(HWY_MIN(row.last - chunk.start, chunk.keys)));
  const auto scale = hn::Set(d, options.scale);
  for (int64_t t = 0; t < chunk.keys; t += lineLanes) {
    auto s = hn::Mul(hn::Load(d, scores + t), scale);
    auto slope = scale;
    if (options.softcap > 0) {
      const auto cap = hn::Set(d, options.softcap);
      const auto bounded = tanhOf(d, hn::Div(s, cap));
      s = hn::Mul(cap, bounded);
      slope = hn::Mul(scale, hn::NegMulAdd(bounded, bounded, hn::Set(d, 1.0f)));
    }
    if (row.added || row.attend)
      s = hn::Add(s, maskLine(row, chunk.start + t, chunk.keys - t));
    const auto index = hn::Iota(di, static_cast<int>(t));
    const auto inside = hn::RebindMask(
        d, hn::AndNot(hn::Lt(index, first), hn::Lt(index, last)));
    const auto p = hn::IfThenElseZero(
        inside,
        exponential(d, hn::Sub(s, statistics.at(statistics.logSums, t))));
    const auto difference =
        hn::Sub(hn::Load(d, products + t), statistics.at(statistics.dots, t));
    hn::Store(p, d, scores + t);
    hn::Store(
        hn::IfThenElseZero(inside, hn::Mul(hn::Mul(p, difference), slope)), d,
        products + t);
  }
}

/// Key `key` as a row: the queries of `head` that see it and count for it.
HWY_INLINE QueryRow keyRow(const AttentionGradientArguments &gradient,
                           int64_t batch, int64_t head, int64_t key) {
  const AttentionArguments &a = gradient.forward;
  QueryRow row;
  // Query i stands at position i + T − S and sees window keys up to there.
  const int64_t at = key - (a.keys - a.queries);
  row.first = a.options.causal ? HWY_MAX(at + gradient.distance, 0) : 0;
  row.last = a.options.window ? at + a.options.window : a.queries;
  row.last = HWY_MIN(row.last, a.queries);
  const AttentionMask &mask = a.mask;
  const int64_t place =
      batch * mask.batchStride + head * mask.headStride + key * mask.keyStride;
  row.added = mask.added ? mask.added + place : nullptr;
  row.attend = mask.attend ? mask.attend + place : nullptr;
  row.maskStride = mask.queryStride;
  return row;
}

/// Σ a · b over one row.
HWY_INLINE float dotRow(const float *a, const float *b, int64_t count) {
  const FloatTag d;
  auto sum = hn::Zero(d);
  for (int64_t i = 0; i < count; i += lineLanes) {
    const int64_t n = HWY_MIN(lineLanes, count - i);
    sum = hn::MulAdd(loadPartial(d, a + i, n), loadPartial(d, b + i, n), sum);
  }
  return sumOf(d, sum);
}

/// One thread's memory for a block of at most 32 rows.
struct BlockMemory {
  /// `chunks` chunks of scores are kept; sums have `width` columns.
  BlockMemory(int64_t chunks, int64_t width) {
    constexpr int64_t chunk = gradientBlockRows * chunkKeys;
    scores = static_cast<float *>(
        threadScratch(((chunks + 2) * chunk + gradientBlockRows * width) *
                      static_cast<int64_t>(sizeof(float))));
    products = scores + chunks * chunk;
    finished = products + chunk;
    sums = finished + chunk;
  }
  float *scoresOf(int64_t chunk) const {
    return scores + chunk * gradientBlockRows * chunkKeys;
  }

  float *scores;   ///< [chunks][32][chunkKeys]
  float *products; ///< [32][chunkKeys]
  float *finished; ///< the same
  float *sums;     ///< [32][width]
};

/// Folds one chunk of raw scores into the running maxima and sums of its rows.
HWY_INLINE void addToSums(const QueryBlock &block, const KeyChunk &chunk,
                          float *finished) {
  const FloatTag d;
  for (int64_t r = 0; r < block.count; ++r) {
    std::memcpy(finished, block.scores + r * chunkKeys,
                chunkKeys * sizeof(float));
    const float before = block.maxima[r];
    float maximum =
        finishScores(*block.options, block.rows[r], chunk, finished);
    maximum = HWY_MAX(maximum, before);
    if (maximum == minusInfinity) // nothing seen so far
      continue;
    if (before != minusInfinity)
      block.sums[r] *=
          hn::GetLane(exponential(d, hn::Set(d, before - maximum)));
    block.sums[r] += exponentiate(maximum, chunk.keys, finished);
    block.maxima[r] = maximum;
  }
}

/// A block of queries of one head.
struct QueryTask {
  int64_t head, keyHead, from;
  SeenRange seen;

  int64_t chunks() const {
    return HWY_MAX(0, (seen.last - seen.first + chunkKeys - 1) / chunkKeys);
  }
  int64_t start(int64_t chunk) const { return seen.first + chunk * chunkKeys; }
};

/// Raw scores of the block, kept, and from them L and dy · y of its queries. L
/// is ∞ where nothing is seen, which makes P 0.
HWY_INLINE void queryStatistics(const GradientWorkspace &work,
                                const QueryTask &task, QueryBlock block,
                                const BlockMemory &memory) {
  const AttentionArguments &f = work.a.forward;
  startBlock(block);
  for (int64_t c = 0; c < task.chunks(); ++c) {
    block.scores = memory.scoresOf(c);
    KeyChunk chunk = chunkAt(work.keys, work.keys, task.keyHead, task.start(c),
                             task.seen.last);
    multiplyGroups(block, chunk);
    addToSums(block, chunk, memory.finished);
  }
  const int64_t first = task.head * work.queries.padded + task.from;
  const float *gradients = work.gradients.rowsOf(task.head);
  for (int64_t r = 0; r < block.count; ++r) {
    const int64_t query = task.from + r, batch = task.head / f.heads;
    const float *output = f.output + ((batch * f.queries + query) * f.heads +
                                      task.head % f.heads) *
                                         f.valueSize;
    work.logSums[first + r] = block.maxima[r] == minusInfinity
                                  ? -minusInfinity
                                  : block.maxima[r] + std::log(block.sums[r]);
    work.dots[first + r] =
        dotRow(gradients + query * f.valueSize, output, f.valueSize);
  }
}

/// Σj dU[i,j] · k[j] of the block's rows, from the scores that are kept.
HWY_INLINE void sumQueryGradients(const GradientWorkspace &work,
                                  const QueryTask &task, QueryBlock block,
                                  const BlockMemory &memory) {
  const AttentionArguments &f = work.a.forward;
  const int64_t first = task.head * work.queries.padded + task.from;
  // Products: dy by values. What they give: sums of key rows.
  block.headSize = f.valueSize;
  block.query = work.gradients.rowsOf(task.head) + task.from * f.valueSize;
  block.scores = memory.products;
  for (int64_t c = 0; c < task.chunks(); ++c) {
    KeyChunk chunk = chunkAt(work.values, work.keys, task.keyHead,
                             task.start(c), task.seen.last);
    multiplyGroups(block, chunk);
    for (int64_t r = 0; r < block.count; ++r)
      finishGradients<false>(f.options, block.rows[r], chunk,
                             {work.logSums + first + r, work.dots + first + r},
                             memory.scoresOf(c) + r * chunkKeys,
                             block.scores + r * chunkKeys);
    addValues<quant::ElementType::F32>(block, chunk);
  }
}

/// Blocks of queries, head by head: their numbers and dq.
void queryGradients(const GradientWorkspace &work, int64_t begin, int64_t end) {
  const AttentionArguments &f = work.a.forward;
  const int64_t perHead =
      (f.queries + gradientBlockRows - 1) / gradientBlockRows;
  float maxima[gradientBlockRows], sums[gradientBlockRows];
  QueryRow rows[gradientBlockRows];
  for (int64_t i = begin; i < end; ++i) {
    const int64_t head = i / perHead, batch = head / f.heads;
    const int64_t from = i % perHead * gradientBlockRows;
    const int64_t count = HWY_MIN(gradientBlockRows, f.queries - from);
    for (int64_t r = 0; r < count; ++r)
      rows[r] = denseRow(f, batch, head % f.heads, from + r);
    const int64_t keyHead =
        batch * f.keyHeads + head % f.heads / (f.heads / f.keyHeads);
    QueryTask task{head, keyHead, from, seenBy(rows, count, f.keys)};
    BlockMemory memory(task.chunks(), f.headSize);
    QueryBlock block{count,      f.headSize,
                     f.headSize, &f.options,
                     rows,       work.queries.rowsOf(head) + from * f.headSize,
                     nullptr,    maxima,
                     sums,       memory.sums};
    queryStatistics(work, task, block, memory);
    sumQueryGradients(work, task, block, memory);
    for (int64_t r = 0; r < count; ++r)
      std::memcpy(
          work.a.queryGradient +
              ((batch * f.queries + from + r) * f.heads + head % f.heads) *
                  f.headSize,
          memory.sums + r * f.headSize, f.headSize * sizeof(float));
  }
}

/// What one head's queries add to dk and dv of a block of keys. `key` and
/// `value` are the two sums, with k and v as their queries.
HWY_INLINE void addHead(const GradientWorkspace &work, int64_t head,
                        const QueryBlock &key, const QueryBlock &value) {
  const AttentionArguments &f = work.a.forward;
  const SeenRange seen = seenBy(key.rows, key.count, f.queries);
  for (int64_t start = seen.first; start < seen.last; start += chunkKeys) {
    KeyChunk byKeys =
        chunkAt(work.queries, work.queries, head, start, seen.last);
    KeyChunk byValues =
        chunkAt(work.gradients, work.gradients, head, start, seen.last);
    // The scores u give P, which weights dy; the products dy · v give dU,
    // which weights q.
    multiplyGroups({.count = key.count,
                    .headSize = f.headSize,
                    .rows = key.rows,
                    .query = key.query,
                    .scores = value.scores},
                   byKeys);
    multiplyGroups({.count = key.count,
                    .headSize = f.valueSize,
                    .rows = key.rows,
                    .query = value.query,
                    .scores = key.scores},
                   byValues);
    const int64_t first = head * work.queries.padded + start;
    for (int64_t r = 0; r < key.count; ++r)
      finishGradients<true>(f.options, key.rows[r], byKeys,
                            {work.logSums + first, work.dots + first},
                            value.scores + r * chunkKeys,
                            key.scores + r * chunkKeys);
    addValues<quant::ElementType::F32>(key, byKeys);
    addValues<quant::ElementType::F32>(value, byValues);
  }
}

/// Blocks of keys, key head by key head: their dk and dv.
void keyGradients(const GradientWorkspace &work, int64_t begin, int64_t end) {
  const AttentionArguments &f = work.a.forward;
  const int64_t perHead = (f.keys + gradientBlockRows - 1) / gradientBlockRows;
  const int64_t sharing = f.heads / f.keyHeads;
  QueryRow rows[gradientBlockRows];
  for (int64_t i = begin; i < end; ++i) {
    const int64_t keyHead = i / perHead, batch = keyHead / f.keyHeads;
    const int64_t from = i % perHead * gradientBlockRows;
    const int64_t count = HWY_MIN(gradientBlockRows, f.keys - from);
    const int64_t at = keyHead * f.keys + from;
    BlockMemory memory(1, f.headSize + f.valueSize);
    auto sumOf = [&](const float *query, int64_t size, float *scores,
                     float *sums) {
      std::memset(sums, 0, count * size * sizeof(float));
      return QueryBlock{.count = count,
                        .valueSize = size,
                        .rows = rows,
                        .query = query + at * size,
                        .scores = scores,
                        .output = sums};
    };
    QueryBlock key = sumOf(f.key, f.headSize, memory.products, memory.sums);
    QueryBlock value = sumOf(f.value, f.valueSize, memory.scoresOf(0),
                             memory.sums + gradientBlockRows * f.headSize);
    const int64_t firstHead = keyHead % f.keyHeads * sharing;
    for (int64_t head = firstHead; head < firstHead + sharing; ++head) {
      for (int64_t r = 0; r < count; ++r)
        rows[r] = keyRow(work.a, batch, head, from + r);
      addHead(work, batch * f.heads + head, key, value);
    }
    std::memcpy(work.a.keyGradient + at * f.headSize, key.output,
                count * f.headSize * sizeof(float));
    std::memcpy(work.a.valueGradient + at * f.valueSize, value.output,
                count * f.valueSize * sizeof(float));
  }
}

} // namespace qopt::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qopt::host {

HWY_EXPORT(layOutHeads);
HWY_EXPORT(queryGradients);
HWY_EXPORT(keyGradients);

/// Without keys or queries there is nothing to sum.
static void clearGradients(const AttentionGradientArguments &a) {
  const AttentionArguments &f = a.forward;
  int64_t queries = f.batch * f.queries * f.heads;
  int64_t keys = f.batch * f.keys * f.keyHeads;
  std::fill_n(a.queryGradient, queries * f.headSize, 0.0f);
  std::fill_n(a.keyGradient, keys * f.headSize, 0.0f);
  std::fill_n(a.valueGradient, keys * f.valueSize, 0.0f);
}

void attentionGradient(const AttentionGradientArguments &a, ThreadPool &pool) {
  const AttentionArguments &f = a.forward;
  if (f.batch == 0 || f.queries == 0 || f.keys == 0)
    return clearGradients(a);
  GradientWorkspace work(a);
  auto run = [&](auto pass, int64_t tasks) {
    pool.parallelFor(
        tasks, 1, [&](int64_t begin, int64_t end) { pass(work, begin, end); });
  };
  auto blocks = [](int64_t rows) {
    return (rows + gradientBlockRows - 1) / gradientBlockRows;
  };
  run(HWY_DYNAMIC_DISPATCH(layOutHeads), f.batch * (f.heads + f.keyHeads));
  run(HWY_DYNAMIC_DISPATCH(queryGradients),
      f.batch * f.heads * blocks(f.queries));
  run(HWY_DYNAMIC_DISPATCH(keyGradients),
      f.batch * f.keyHeads * blocks(f.keys));
}

} // namespace qopt::host
#endif // HWY_ONCE
