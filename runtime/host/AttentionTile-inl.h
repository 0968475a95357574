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
#include "runtime/host/AttentionProducts-inl.h"
#include "runtime/host/VectorMath-inl.h"

#if defined(QOPT_RUNTIME_HOST_ATTENTIONTILE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef QOPT_RUNTIME_HOST_ATTENTIONTILE_INL_H
#undef QOPT_RUNTIME_HOST_ATTENTIONTILE_INL_H
#else
#define QOPT_RUNTIME_HOST_ATTENTIONTILE_INL_H
#endif

HWY_BEFORE_NAMESPACE();
namespace qopt::host::HWY_NAMESPACE {

/// What is added to the scores of the keys from `key` on, of which there are
/// `count`: 0 or −∞ for a boolean mask.
HWY_INLINE FloatVector maskLine(const QueryRow &row, int64_t key,
                                int64_t count) {
  HWY_ALIGN float mask[lineLanes] = {};
  for (int64_t i = 0; i < HWY_MIN(lineLanes, count); ++i) {
    const int64_t at = (key + i) * row.maskStride;
    mask[i] = row.added ? row.added[at] : row.attend[at] ? 0 : minusInfinity;
  }
  return hn::Load(FloatTag(), mask);
}

/// What is added to the scores of the keys from `key` on for their distances.
HWY_INLINE FloatVector biasLine(const QueryRow &row, int64_t key) {
  HWY_ALIGN float line[lineLanes];
  for (int64_t i = 0; i < lineLanes; ++i) {
    const int64_t distance = HWY_MAX(row.position - key - i, 0);
    line[i] = row.biases[HWY_MIN(distance, row.distances - 1)];
  }
  return hn::Load(FloatTag(), line);
}

/// Scales, softcap, ALiBi, biases, mask and range on one row of raw scores;
/// returns the maximum.
HWY_INLINE float finishScores(const ScoreOptions &options, const QueryRow &row,
                              const KeyChunk &chunk, float *scores) {
  const int64_t start = chunk.start, keys = chunk.keys;
  const FloatTag d;
  const hn::RebindToSigned<FloatTag> di;
  const auto none = hn::Set(d, minusInfinity);
  auto largest = none;
  const auto first = hn::Set(di, static_cast<int>(row.first - start));
  const auto last =
      hn::Set(di, static_cast<int>(HWY_MIN(row.last - start, keys)));
  for (int64_t t = 0; t < keys; t += lineLanes) {
    auto s = hn::Mul(hn::Load(d, scores + t), hn::Set(d, options.scale));
    if (chunk.keyScales)
      s = hn::Mul(s, hn::LoadU(d, chunk.keyScales + t));
    if (options.softcap > 0)
      s = hn::Mul(hn::Set(d, options.softcap),
                  tanhOf(d, hn::Div(s, hn::Set(d, options.softcap))));
    const auto index = hn::Iota(di, static_cast<int>(t));
    if (row.slope != 0) {
      const auto distance =
          hn::Add(index, hn::Set(di, static_cast<int>(start - row.position)));
      s = hn::MulAdd(hn::Set(d, row.slope), hn::ConvertTo(d, distance), s);
    }
    if (row.biases)
      s = hn::Add(s, biasLine(row, start + t));
    if (row.added || row.attend)
      s = hn::Add(s, maskLine(row, start + t, keys - t));
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

HWY_INLINE void multiplyScores(const float *factors, int64_t keys,
                               float *scores) {
  const FloatTag d;
  for (int64_t t = 0; t < keys; t += lineLanes)
    hn::Store(hn::Mul(hn::Load(d, scores + t), hn::LoadU(d, factors + t)), d,
              scores + t);
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
    float maximum = finishScores(*block.options, block.rows[r], chunk, scores);
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
    if (chunk.valueScales)
      multiplyScores(chunk.valueScales, chunk.keys, scores);
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
