// The two products of attention over one chunk of keys: scores from queries and
// transposed keys, and the weighted sum of values. Sums run in the order of the
// channels and of the keys, whatever the number of rows.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/CacheLines-inl.h"

#if defined(QOPT_RUNTIME_HOST_ATTENTIONPRODUCTS_INL_H) ==                      \
    defined(HWY_TARGET_TOGGLE)
#ifdef QOPT_RUNTIME_HOST_ATTENTIONPRODUCTS_INL_H
#undef QOPT_RUNTIME_HOST_ATTENTIONPRODUCTS_INL_H
#else
#define QOPT_RUNTIME_HOST_ATTENTIONPRODUCTS_INL_H
#endif

HWY_BEFORE_NAMESPACE();
namespace qopt::host::HWY_NAMESPACE {

/// scores[row][16·group …] = q[row] · k for `rows` queries and `groups` groups.
template <quant::ElementType type, int64_t rows, int64_t groups>
HWY_INLINE void scoreTile(const float *query, int64_t headSize,
                          const void *const *keyGroups, float *scores) {
  const FloatTag d;
  FloatVector sums[rows][groups * lineVectors];
  for (auto &line : sums)
    for (auto &v : line)
      v = hn::Zero(d);
  for (int64_t i = 0; i < headSize; ++i) {
    FloatVector k[groups * lineVectors];
    for (int64_t g = 0; g < groups; ++g)
      for (int64_t part = 0; part < lineVectors; ++part)
        k[g * lineVectors + part] = loadKeys<type>(keyGroups[g], i, part);
    for (int64_t r = 0; r < rows; ++r) {
      const auto q = hn::Set(d, query[r * headSize + i]);
      for (int64_t j = 0; j < groups * lineVectors; ++j)
        sums[r][j] = hn::MulAdd(q, k[j], sums[r][j]);
    }
  }
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t j = 0; j < groups * lineVectors; ++j)
      hn::StoreU(sums[r][j], d, scores + r * chunkKeys + j * lineLanes);
}

template <quant::ElementType type, int64_t rows, int64_t groups>
HWY_INLINE void scoreRows(const float *query, int64_t headSize,
                          const KeyChunk &chunk, int64_t firstGroup,
                          int64_t lastGroup, float *scores) {
  int64_t g = firstGroup;
  for (; g + groups <= lastGroup; g += groups)
    scoreTile<type, rows, groups>(query, headSize, chunk.keyGroups + g,
                                  scores + g * groupKeys);
  for (; g < lastGroup; ++g)
    scoreTile<type, rows, 1>(query, headSize, chunk.keyGroups + g,
                             scores + g * groupKeys);
}

/// Raw scores of all rows against the groups [firstGroup, lastGroup).
template <quant::ElementType type>
void scoreChunk(const QueryBlock &block, const KeyChunk &chunk,
                int64_t firstGroup, int64_t lastGroup) {
  constexpr int64_t many = 8 / lineVectors;
  int64_t row = 0;
  auto at = [&](int64_t r) { return block.query + r * block.headSize; };
  for (; row + many <= block.count; row += many)
    scoreRows<type, many, 1>(at(row), block.headSize, chunk, firstGroup,
                             lastGroup, block.scores + row * chunkKeys);
  for (; row + 2 <= block.count; row += 2)
    scoreRows<type, 2, many / 2>(at(row), block.headSize, chunk, firstGroup,
                                 lastGroup, block.scores + row * chunkKeys);
  for (; row < block.count; ++row)
    scoreRows<type, 1, many / 2>(at(row), block.headSize, chunk, firstGroup,
                                 lastGroup, block.scores + row * chunkKeys);
}

/// `n` stored values as f32, zeros behind them.
template <quant::ElementType type>
HWY_INLINE FloatVector loadValues(const uint8_t *p, int64_t n) {
  if (n >= lineLanes)
    return loadRow<type>(p, 0);
  constexpr int64_t bits = quant::bitsOf(type);
  HWY_ALIGN uint8_t buffer[lineLanes * bits / 8 + 1] = {};
  std::memcpy(buffer, p, (n * bits + 7) / 8);
  return loadRow<type>(buffer, 0);
}

/// output[row][from …] += Σ p[row][t] · v[t][from …] over t in [first, last)
/// for `rows` rows and up to `vectors` vectors of columns, `width` columns in
/// all.
template <quant::ElementType type, int64_t rows, int64_t vectors>
HWY_INLINE void valueTile(const float *weights, const KeyChunk &chunk,
                          int64_t first, int64_t last, int64_t valueSize,
                          int64_t from, int64_t width, float *output) {
  const FloatTag d;
  constexpr int64_t bits = quant::bitsOf(type);
  const int64_t rowBytes = (valueSize * bits + 7) / 8;
  FloatVector sums[rows][vectors];
  auto columns = [&](int64_t i) {
    return HWY_MIN(lineLanes, width - i * lineLanes);
  };
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t i = 0; i < vectors; ++i)
      sums[r][i] = loadPartial(d, output + r * valueSize + from + i * lineLanes,
                               static_cast<size_t>(columns(i)));
  for (int64_t t = first; t < last; ++t) {
    const uint8_t *v =
        static_cast<const uint8_t *>(chunk.valueGroups[t / groupKeys]) +
        t % groupKeys * rowBytes + from * bits / 8;
    FloatVector line[vectors];
    // A narrow head reads into the next token's values, whose lanes are never
    // stored; only where the group ends does it go through a buffer.
    int64_t left =
        (HWY_MIN(groupKeys, chunk.keys - t + t % groupKeys) - t % groupKeys) *
            valueSize -
        from;
    for (int64_t i = 0; i < vectors; ++i)
      line[i] = vectors == 1 && left < lineLanes
                    ? loadValues<type>(v, width)
                    : loadRow<type>(v, i * lineLanes);
    for (int64_t r = 0; r < rows; ++r) {
      const auto p = hn::Set(d, weights[r * chunkKeys + t]);
      for (int64_t i = 0; i < vectors; ++i)
        sums[r][i] = hn::MulAdd(p, line[i], sums[r][i]);
    }
  }
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t i = 0; i < vectors; ++i) {
      float *out = output + r * valueSize + from + i * lineLanes;
      if (columns(i) == lineLanes)
        hn::StoreU(sums[r][i], d, out);
      else
        storePartial(sums[r][i], d, out, columns(i));
    }
}

template <quant::ElementType type, int64_t rows>
HWY_INLINE void valueRows(const QueryBlock &block, int64_t row,
                          const KeyChunk &chunk) {
  int64_t first = chunk.keys, last = 0;
  for (int64_t r = row; r < row + rows; ++r) {
    first = HWY_MIN(first, block.rows[r].first - chunk.start);
    last = HWY_MAX(last, block.rows[r].last - chunk.start);
  }
  first = HWY_MAX(first, 0);
  last = HWY_MIN(last, chunk.keys);
  const float *weights = block.scores + row * chunkKeys;
  float *output = block.output + row * block.valueSize;
  constexpr int64_t wide = 4 * lineLanes;
  int64_t from = 0;
  for (; from + wide <= block.valueSize; from += wide)
    valueTile<type, rows, 4>(weights, chunk, first, last, block.valueSize, from,
                             wide, output);
  for (; from < block.valueSize; from += lineLanes)
    valueTile<type, rows, 1>(weights, chunk, first, last, block.valueSize, from,
                             HWY_MIN(lineLanes, block.valueSize - from),
                             output);
}

/// Adds the weighted values of the chunk to all rows.
template <quant::ElementType type>
void addValues(const QueryBlock &block, const KeyChunk &chunk) {
  constexpr int64_t many = lineVectors == 1 ? 4 : 2;
  int64_t row = 0;
  for (; row + many <= block.count; row += many)
    valueRows<type, many>(block, row, chunk);
  for (; row < block.count; ++row)
    valueRows<type, 1>(block, row, chunk);
}

using ScoreFunction = void (*)(const QueryBlock &, const KeyChunk &, int64_t,
                               int64_t);
using ValueFunction = void (*)(const QueryBlock &, const KeyChunk &);

} // namespace qopt::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // per-target guard
