// Attention of some query rows over one chunk of keys, shared by dense and
// cached attention. Keys come in groups of 16, transposed ([headSize][16], so
// that 16 scores are a line); values in groups of 16 rows. Chunks begin at
// multiples of `chunkKeys` and are folded into a running softmax in order, so
// that a row's result depends on its own keys only:
//
//   m' = max(m, max s)
//   l' = l·e^(m−m') + Σ e^(s−m')
//   y' = y·e^(m−m') + Σ e^(s−m')·v        at last y / l
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/Attention.h"
#include "runtime/host/LinearTile-inl.h"
#include "runtime/host/VectorMath-inl.h"

#include <limits>

#if defined(QOPT_RUNTIME_HOST_ATTENTIONTILE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef QOPT_RUNTIME_HOST_ATTENTIONTILE_INL_H
#undef QOPT_RUNTIME_HOST_ATTENTIONTILE_INL_H
#else
#define QOPT_RUNTIME_HOST_ATTENTIONTILE_INL_H
#endif

HWY_BEFORE_NAMESPACE();
namespace qopt::host::HWY_NAMESPACE {

constexpr int64_t groupKeys = 16;
constexpr int64_t chunkKeys = 256;
constexpr float minusInfinity = -std::numeric_limits<float>::infinity();

/// One query and what it sees.
struct QueryRow {
  int64_t first = 0, last = 0; ///< keys [first, last) take part
  float slope = 0;             ///< ALiBi: slope · (key − position) is added
  int64_t position = 0;
  const float *added = nullptr; ///< mask of key 0, or null
  const bool *attend = nullptr;
  int64_t maskStride = 0;
};

/// A block of queries with its running softmax.
struct QueryBlock {
  int64_t count = 0;
  int64_t headSize = 0;
  int64_t valueSize = 0;
  const ScoreOptions *options = nullptr;
  const QueryRow *rows = nullptr;
  const float *query = nullptr; ///< [count][headSize]
  float *scores = nullptr;      ///< [count][chunkKeys]
  float *maxima = nullptr;      ///< [count]
  float *sums = nullptr;        ///< [count]
  float *output = nullptr;      ///< [count][valueSize]
};

/// Keys and values of one chunk: pointers to its groups.
struct KeyChunk {
  int64_t start = 0; ///< number of the first key
  int64_t keys = 0;  ///< up to chunkKeys; the last group may be short
  const void *keyGroups[chunkKeys / groupKeys];
  const void *valueGroups[chunkKeys / groupKeys];
};

/// scores[row][16·group …] = q[row] · k for `rows` queries and `groups` groups.
template <quant::ElementType type, int64_t rows, int64_t groups>
HWY_INLINE void scoreTile(const float *query, int64_t headSize,
                          const void *const *keyGroups, float *scores) {
  const FloatTag d;
  constexpr int64_t lineBytes =
      groupKeys * (type == quant::ElementType::F32 ? 4 : 2);
  FloatVector sums[rows][groups * lineVectors];
  for (auto &line : sums)
    for (auto &v : line)
      v = hn::Zero(d);
  for (int64_t i = 0; i < headSize; ++i) {
    FloatVector k[groups * lineVectors];
    for (int64_t g = 0; g < groups; ++g)
      for (int64_t part = 0; part < lineVectors; ++part)
        k[g * lineVectors + part] = loadLine<type>(
            static_cast<const uint8_t *>(keyGroups[g]) + i * lineBytes, part);
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
HWY_INLINE FloatVector loadValues(const void *p, int64_t n) {
  if (n >= lineLanes)
    return loadLine<type>(p, 0);
  constexpr int64_t size = type == quant::ElementType::F32 ? 4 : 2;
  HWY_ALIGN uint8_t buffer[lineLanes * size] = {};
  std::memcpy(buffer, p, n * size);
  return loadLine<type>(buffer, 0);
}

/// output[row][from …] += Σ p[row][t] · v[t][from …] over t in [first, last)
/// for `rows` rows and up to `vectors` vectors of columns, `width` columns in
/// all.
template <quant::ElementType type, int64_t rows, int64_t vectors>
HWY_INLINE void valueTile(const float *weights, const KeyChunk &chunk,
                          int64_t first, int64_t last, int64_t valueSize,
                          int64_t from, int64_t width, float *output) {
  const FloatTag d;
  constexpr int64_t size = type == quant::ElementType::F32 ? 4 : 2;
  FloatVector sums[rows][vectors];
  auto columns = [&](int64_t i) {
    return HWY_MIN(lineLanes, width - i * lineLanes);
  };
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t i = 0; i < vectors; ++i)
      sums[r][i] = loadValues<quant::ElementType::F32>(
          output + r * valueSize + from + i * lineLanes, columns(i));
  for (int64_t t = first; t < last; ++t) {
    const uint8_t *v =
        static_cast<const uint8_t *>(chunk.valueGroups[t / groupKeys]) +
        (t % groupKeys * valueSize + from) * size;
    FloatVector line[vectors];
    for (int64_t i = 0; i < vectors; ++i)
      line[i] =
          vectors == 1 ? loadValues<type>(v, width) : loadLine<type>(v, i);
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

/// Scale, softcap, ALiBi, mask and range on one row of raw scores; returns the
/// maximum.
HWY_INLINE float finishScores(const ScoreOptions &options, const QueryRow &row,
                              int64_t start, int64_t keys, float *scores) {
  const FloatTag d;
  const hn::RebindToSigned<FloatTag> di;
  const auto none = hn::Set(d, minusInfinity);
  auto largest = none;
  const auto first = hn::Set(di, static_cast<int>(row.first - start));
  const auto last =
      hn::Set(di, static_cast<int>(HWY_MIN(row.last - start, keys)));
  for (int64_t t = 0; t < keys; t += lineLanes) {
    auto s = hn::Mul(hn::Load(d, scores + t), hn::Set(d, options.scale));
    if (options.softcap > 0)
      s = hn::Mul(hn::Set(d, options.softcap),
                  tanhOf(d, hn::Div(s, hn::Set(d, options.softcap))));
    const auto index = hn::Iota(di, static_cast<int>(t));
    if (row.slope != 0) {
      const auto distance =
          hn::Add(index, hn::Set(di, static_cast<int>(start - row.position)));
      s = hn::MulAdd(hn::Set(d, row.slope), hn::ConvertTo(d, distance), s);
    }
    if (row.added || row.attend) {
      HWY_ALIGN float mask[lineLanes] = {};
      for (int64_t i = 0; i < HWY_MIN(lineLanes, keys - t); ++i) {
        const int64_t at = (start + t + i) * row.maskStride;
        mask[i] = row.added        ? row.added[at]
                  : row.attend[at] ? 0
                                   : minusInfinity;
      }
      s = hn::Add(s, hn::Load(d, mask));
    }
    const auto inside = hn::AndNot(hn::Lt(index, first), hn::Lt(index, last));
    s = hn::IfThenElse(hn::RebindMask(d, inside), s, none);
    largest = hn::Max(largest, s);
    hn::Store(s, d, scores + t);
  }
  return maxOf(d, largest);
}

/// scores = e^(scores − maximum); returns their sum.
HWY_INLINE float exponentiate(float maximum, int64_t keys, float *scores) {
  const FloatTag d;
  const auto m = hn::Set(d, maximum);
  auto total = hn::Zero(d);
  for (int64_t t = 0; t < keys; t += lineLanes) {
    const auto p = exponential(d, hn::Sub(hn::Load(d, scores + t), m));
    total = hn::Add(total, p);
    hn::Store(p, d, scores + t);
  }
  return sumOf(d, total);
}

HWY_INLINE void scaleRow(float *values, int64_t count, float factor) {
  const FloatTag d;
  int64_t i = 0;
  for (; i + lineLanes <= count; i += lineLanes)
    hn::StoreU(hn::Mul(hn::LoadU(d, values + i), hn::Set(d, factor)), d,
               values + i);
  for (; i < count; ++i)
    values[i] *= factor;
}

using ScoreFunction = void (*)(const QueryBlock &, const KeyChunk &, int64_t,
                               int64_t);
using ValueFunction = void (*)(const QueryBlock &, const KeyChunk &);

inline ScoreFunction scoreFunction(quant::ElementType type) {
  return type == quant::ElementType::F32 ? scoreChunk<quant::ElementType::F32>
         : type == quant::ElementType::F16
             ? scoreChunk<quant::ElementType::F16>
             : scoreChunk<quant::ElementType::BF16>;
}
inline ValueFunction valueFunction(quant::ElementType type) {
  return type == quant::ElementType::F32 ? addValues<quant::ElementType::F32>
         : type == quant::ElementType::F16
             ? addValues<quant::ElementType::F16>
             : addValues<quant::ElementType::BF16>;
}

/// Folds one chunk into the block's running softmax.
HWY_INLINE void attendChunk(const QueryBlock &block, const KeyChunk &chunk,
                            ScoreFunction score, ValueFunction addChunk) {
  int64_t first = chunk.keys;
  for (int64_t r = 0; r < block.count; ++r)
    first = HWY_MIN(first, block.rows[r].first - chunk.start);
  score(block, chunk, HWY_MAX(first, 0) / groupKeys,
        (chunk.keys + groupKeys - 1) / groupKeys);
  for (int64_t r = 0; r < block.count; ++r) {
    float *scores = block.scores + r * chunkKeys;
    float before = block.maxima[r];
    float maximum = finishScores(*block.options, block.rows[r], chunk.start,
                                 chunk.keys, scores);
    maximum = HWY_MAX(maximum, before);
    if (maximum == minusInfinity) { // nothing seen so far
      std::memset(scores, 0, chunkKeys * sizeof(float));
      continue;
    }
    float sum = exponentiate(maximum, chunk.keys, scores);
    if (before != maximum && before != minusInfinity) {
      float shrink = hn::GetLane(
          exponential(FloatTag(), hn::Set(FloatTag(), before - maximum)));
      block.sums[r] *= shrink;
      scaleRow(block.output + r * block.valueSize, block.valueSize, shrink);
    }
    block.sums[r] += sum;
    block.maxima[r] = maximum;
  }
  addChunk(block, chunk);
}

/// Starts a block: nothing seen.
HWY_INLINE void startBlock(const QueryBlock &block) {
  for (int64_t r = 0; r < block.count; ++r) {
    block.maxima[r] = minusInfinity;
    block.sums[r] = 0;
  }
  std::memset(block.output, 0, block.count * block.valueSize * sizeof(float));
}

} // namespace qopt::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // per-target guard
