// Dense and cached attention against a plain f64 softmax: every option, shapes
// that fill no block, and ragged batches over shuffled pages.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/Attention.h"
#include "lib/Quant/FloatConversion.h"
#include "runtime/host/RotaryAppend.h"
#include "test/runtime/host/TwoSequences.h"

#include <algorithm>
#include <limits>
#include <memory>

namespace qopt::host {

constexpr double infinity = std::numeric_limits<double>::infinity();

/// Σ softmax(scores) · value(key), 0 where every score is −∞.
static void addSoftmax(std::vector<double> scores, int64_t size,
                       const std::function<const float *(int64_t)> &value,
                       std::vector<double> &out) {
  double largest = *std::max_element(scores.begin(), scores.end()), sum = 0;
  std::vector<double> y(size_t(size), 0.0);
  for (size_t j = 0; j < scores.size() && largest != -infinity; ++j) {
    double p = std::exp(scores[j] - largest);
    sum += p;
    for (int64_t i = 0; i < size; ++i)
      y[size_t(i)] += p * value(int64_t(j))[i];
  }
  for (double v : y)
    out.push_back(sum > 0 ? v / sum : 0);
}

static double scoreOf(const ScoreOptions &options, const float *q,
                      const float *k, int64_t size) {
  double s = 0;
  for (int64_t i = 0; i < size; ++i)
    s += double(q[i]) * k[i];
  s *= options.scale;
  return options.softcap > 0 ? options.softcap * std::tanh(s / options.softcap)
                             : s;
}

struct DenseCase {
  int64_t queries, keys, heads, keyHeads, size, valueSize;
  ScoreOptions options;
  int mask; ///< 0 none, 1 added, 2 boolean
};
class DenseAttentionTest : public testing::TestWithParam<DenseCase> {};

/// The output of `a` by the formula, one query and head after the other.
static std::vector<double> referenceOf(const AttentionArguments &a, int mask) {
  std::vector<double> expected;
  for (int64_t b = 0; b < a.batch; ++b)
    for (int64_t i = 0; i < a.queries; ++i)
      for (int64_t h = 0; h < a.heads; ++h) {
        int64_t pair = b * a.keyHeads + h / (a.heads / a.keyHeads);
        int64_t end = i + a.keys - a.queries;
        std::vector<double> scores;
        for (int64_t j = 0; j < a.keys; ++j) {
          double s = scoreOf(
              a.options,
              a.query + ((b * a.queries + i) * a.heads + h) * a.headSize,
              a.key + (pair * a.keys + j) * a.headSize, a.headSize);
          int64_t at = (b * a.queries + i) * a.keys + j;
          s += mask == 1 ? a.mask.added[at] : 0;
          bool hidden = (mask == 2 && !a.mask.attend[at]) ||
                        (a.options.causal && j > end) ||
                        (a.options.window && j <= end - a.options.window);
          scores.push_back(hidden ? -infinity : s);
        }
        addSoftmax(
            scores, a.valueSize,
            [&](int64_t j) {
              return a.value + (pair * a.keys + j) * a.valueSize;
            },
            expected);
      }
  return expected;
}

TEST_P(DenseAttentionTest, equalsReference) {
  const DenseCase &c = GetParam();
  const int64_t batch = 2;
  std::vector<float> q = randomValues(batch * c.queries * c.heads * c.size, 1);
  std::vector<float> k = randomValues(batch * c.keyHeads * c.keys * c.size, 2);
  std::vector<float> v =
      randomValues(batch * c.keyHeads * c.keys * c.valueSize, 3);
  std::vector<float> added = randomValues(batch * c.queries * c.keys, 4);
  auto attend = std::make_unique<bool[]>(added.size());
  for (size_t i = 0; i < added.size(); ++i) {
    attend[i] = added[i] > -0.5f;
    if (i % 7 == 0)
      added[i] = -std::numeric_limits<float>::infinity();
    if (i < size_t(c.keys)) { // the first query sees nothing
      attend[i] = false;
      added[i] = -std::numeric_limits<float>::infinity();
    }
  }
  AttentionArguments a;
  a.batch = batch;
  a.heads = c.heads;
  a.keyHeads = c.keyHeads;
  a.queries = c.queries;
  a.keys = c.keys;
  a.headSize = c.size;
  a.valueSize = c.valueSize;
  a.query = q.data();
  a.key = k.data();
  a.value = v.data();
  a.options = c.options;
  if (c.mask == 1)
    a.mask.added = added.data();
  if (c.mask == 2)
    a.mask.attend = attend.get();
  a.mask.batchStride = c.queries * c.keys;
  a.mask.queryStride = c.keys;
  a.mask.keyStride = 1;
  std::vector<double> expected = referenceOf(a, c.mask);
  forEveryTarget([&] {
    std::vector<float> y = withThreads([&](ThreadPool &pool) {
      std::vector<float> out(expected.size());
      a.output = out.data();
      attention(a, pool);
      return out;
    });
    expectClose(y, expected, 3e-6);
  });
}

static ScoreOptions options(float scale, bool causal, int64_t window,
                            float softcap) {
  return {scale, causal, window, softcap};
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, DenseAttentionTest,
    testing::Values(
        DenseCase{3, 5, 2, 2, 8, 8, options(0.5f, false, 0, 0), 0},
        DenseCase{1, 300, 4, 2, 64, 64, options(0.125f, true, 0, 0), 0},
        DenseCase{17, 17, 4, 1, 20, 20, options(0.2f, true, 0, 0), 1},
        DenseCase{64, 64, 2, 2, 64, 64, options(0.125f, true, 9, 0), 0},
        DenseCase{40, 600, 2, 1, 16, 24, options(0.25f, true, 0, 30), 0},
        DenseCase{9, 33, 6, 3, 80, 80, options(0.11f, false, 0, 0), 2},
        DenseCase{33, 270, 2, 2, 5, 3, options(0.4f, true, 50, 5), 2},
        DenseCase{5, 3, 1, 1, 8, 8, options(0.3f, true, 0, 0), 0}));

struct CacheCase {
  const char *key, *value; ///< formats
};

/// A cache that is filled step by step.
template <int64_t channels>
class CachedAttentionOf : public TwoSequences<CacheCase, channels> {
protected:
  using Base = TwoSequences<CacheCase, channels>;
  using Base::clear;
  using Base::fill;
  using Base::heads;
  using Base::key;
  using Base::keyHeads;
  using Base::layout;
  using Base::perSequence;
  using Base::query;
  using Base::size;
  using Base::value;
  static constexpr int64_t maxTokens = 700;

  static float asHalf(float x) {
    return quant::halfToFloat(quant::floatToHalf(x));
  }

  /// A code over its scale.
  static float rounded(quant::ElementType type, float x) {
    switch (type) {
    case quant::ElementType::F16:
      return asHalf(x);
    case quant::ElementType::BF16:
      return quant::bfloat16ToFloat(quant::floatToBfloat16(x));
    case quant::ElementType::Fp8E4m3:
      return quant::e4m3ToFloat(quant::floatToE4m3(x));
    case quant::ElementType::Int8:
    case quant::ElementType::Int4:
      return std::nearbyint(x);
    default:
      return x;
    }
  }

  /// Heads as the format keeps them.
  static std::vector<float> stored(const quant::Format &format,
                                   std::vector<float> heads) {
    float most = format.element == quant::ElementType::Int8   ? 127
                 : format.element == quant::ElementType::Int4 ? 7
                                                              : 448;
    for (size_t head = 0; head < heads.size(); head += size) {
      float largest = 0, scale = 1;
      for (size_t i = head; i < head + size; ++i)
        largest = std::max(largest, std::abs(heads[i]));
      if (!format.isFloat())
        scale = asHalf(largest / most);
      for (size_t i = head; i < head + size; ++i)
        heads[i] = rounded(format.element, heads[i] * (1 / scale)) * scale;
    }
    return heads;
  }

  void SetUp() override {
    layout.pageTokens = 32;
    layout.key = *quant::parseFormat(this->GetParam().key);
    layout.value = *quant::parseFormat(this->GetParam().value);
    fill(maxTokens);
    clear();
  }

  std::vector<float> step(const std::vector<int32_t> &from,
                          const std::vector<int32_t> &count,
                          const ScoreOptions &options, const float *slopes) {
    typename Base::Step step(*this, from, count);
    step.attention.options = options;
    step.attention.alibiSlopes = slopes;
    if (!biases.empty()) {
      step.attention.distanceBiases = biases.data();
      step.attention.distances = int64_t(biases.size()) / heads;
    }
    if (!sources.empty())
      step.attention.batch.sourceLengths = sources.data();
    return withThreads([&](ThreadPool &pool) { return step.run(pool); });
  }

  std::vector<double> expected(int s, int64_t from, int64_t count,
                               const ScoreOptions &options,
                               const float *slopes) {
    std::vector<float> k = stored(layout.key, key[s]),
                       v = stored(layout.value, value[s]);
    std::vector<double> out;
    for (int64_t p = from; p < from + count; ++p)
      for (int64_t h = 0; h < heads; ++h) {
        int64_t kv = h / (heads / keyHeads);
        std::vector<double> scores;
        int64_t seen = sources.empty() ? p + 1 : sources[size_t(s)];
        auto distances = int64_t(biases.size()) / heads;
        for (int64_t j = 0; j < seen; ++j) {
          double x = scoreOf(options, query[s].data() + (p * heads + h) * size,
                             k.data() + (j * keyHeads + kv) * size, size);
          x += slopes ? slopes[h] * double(j - p) : 0;
          if (distances)
            x += double(
                biases[size_t(h * distances + std::min(p - j, distances - 1))]);
          bool hidden = options.window && j <= p - options.window;
          scores.push_back(hidden ? -infinity : x);
        }
        addSoftmax(
            scores, size,
            [&](int64_t j) { return v.data() + (j * keyHeads + kv) * size; },
            out);
      }
    return out;
  }

  void check(const ScoreOptions &options, const float *slopes) {
    // Prefill in unequal chunks, then decode, past a chunk of 256 keys.
    std::vector<std::vector<int32_t>> froms = {
        {0, 0}, {65, 3}, {70, 300}, {71, 301}, {71, 302}};
    std::vector<std::vector<int32_t>> counts = {
        {65, 3}, {5, 297}, {1, 1}, {0, 1}, {1, 1}};
    for (size_t i = 0; i < froms.size(); ++i) {
      SCOPED_TRACE(i);
      std::vector<double> both =
          expected(0, froms[i][0], counts[i][0], options, slopes);
      std::vector<double> second =
          expected(1, froms[i][1], counts[i][1], options, slopes);
      both.insert(both.end(), second.begin(), second.end());
      expectClose(step(froms[i], counts[i], options, slopes), both, 3e-6);
    }
  }

  std::vector<float> biases;    ///< [heads, distances], where there are any
  std::vector<int32_t> sources; ///< where all attend to so many positions
};

class CachedAttentionTest : public CachedAttentionOf<24> {};

/// Two codes of int4 are a byte, and the last one is alone in its.
class OddCachedAttentionTest : public CachedAttentionOf<21> {};

TEST_P(OddCachedAttentionTest, prefillAndDecode) {
  forEveryTarget([&] { check(options(0.2f, true, 0, 0), nullptr); });
}

INSTANTIATE_TEST_SUITE_P(Formats, OddCachedAttentionTest,
                         testing::Values(CacheCase{"int4", "int4"},
                                         CacheCase{"int8", "int4"},
                                         CacheCase{"int4", "f16"}));

/// A query with a NaN has no answer, and its neighbours have theirs.
TEST_P(CachedAttentionTest, aQueryThatIsNoNumberGivesNone) {
  query[1][size_t((290 * heads + 2) * size + 5)] =
      std::numeric_limits<float>::quiet_NaN();
  forEveryTarget([&] {
    std::vector<float> y =
        step({0, 0}, {1, 300}, options(0.2f, true, 0, 0), nullptr);
    for (size_t i = 0; i < y.size(); ++i)
      ASSERT_EQ(std::isnan(y[i]), i / size == (1 + 290) * heads + 2) << i;
    y = step({1, 290}, {1, 1}, options(0.2f, true, 0, 5), nullptr);
    for (size_t i = 0; i < y.size(); ++i)
      ASSERT_EQ(std::isnan(y[i]), i / size == heads + 2) << i;
  });
}

TEST_P(CachedAttentionTest, prefillAndDecode) {
  forEveryTarget([&] { check(options(0.2f, true, 0, 0), nullptr); });
}

/// One pass over the tokens leaves the bits that rotary and append leave one
/// after the other, in chunks, with empty sequences and strided rows.
TEST_P(CachedAttentionTest, rotaryAppendEqualsItsParts) {
  std::vector<int32_t> from = {3, 17, 0}, starts = {0, 40, 40, 77};
  std::vector<int32_t> pageTable = {0, 1, 2, 3, 4, 5, 6, 7, 8};
  const int64_t tokens = 77, kvRow = keyHeads * size, half = size / 4;
  const int64_t stride = (heads + 2 * keyHeads) * size;
  std::vector<float> rows = randomValues(tokens * stride, 21);
  std::vector<float> cos = randomValues(tokens * half, 22);
  std::vector<float> sin = randomValues(tokens * half, 23);
  RaggedBatch batch{3, starts.data(), from.data(), pageTable.data(), 3};
  for (bool interleaved : {false, true})
    forEveryTarget([&] {
      RotaryAppendArguments a;
      RotaryArguments &q = a.queries;
      q = {tokens, heads, size, 2 * half, interleaved};
      q.input = rows.data();
      q.inputStride = stride;
      q.outputStride = heads * size;
      q.cos = cos.data();
      q.sin = sin.data();
      q.tableRows = tokens;
      const float *keys = rows.data() + heads * size;
      a.append = {layout, batch, nullptr, keys, stride, keys + kvRow, stride};

      std::vector<uint8_t> parts(size_t(9 * layout.pageBytes())), one = parts;
      std::vector<float> rotated(size_t(tokens * heads * size)), same = rotated;
      std::vector<float> turned(size_t(tokens * kvRow));
      ThreadPool pool(2);
      RotaryArguments k = q;
      q.output = rotated.data();
      rotary(q, pool);
      k.heads = keyHeads;
      k.input = keys;
      k.output = turned.data();
      k.outputStride = kvRow;
      rotary(k, pool);
      KvAppendArguments append = a.append;
      append.key = turned.data();
      append.keyStride = kvRow;
      append.pages = parts.data();
      kvAppend(append, pool);

      q.output = same.data();
      a.append.pages = one.data();
      rotaryAppend(a, pool);
      EXPECT_EQ(same, rotated);
      EXPECT_EQ(one, parts);
    });
}

TEST_P(CachedAttentionTest, windowAndSoftcap) {
  forEveryTarget([&] { check(options(0.2f, true, 20, 5), nullptr); });
}

TEST_P(CachedAttentionTest, alibi) {
  std::vector<float> slopes = {0.5f, 0.25f, 0.125f, 0.0625f, 0.03f, 0.015f};
  forEveryTarget([&] { check(options(0.2f, true, 0, 0), slopes.data()); });
}

/// Those of the last distance hold for all beyond it.
TEST_P(CachedAttentionTest, biasesByDistance) {
  for (int64_t distances : {1, 7, 40}) {
    biases = randomValues(heads * distances, 50);
    forEveryTarget([&] { check(options(0.2f, true, 0, 0), nullptr); });
  }
}

/// Across sequences every token sees every position, those behind its own, too.
TEST_P(CachedAttentionTest, allOfASource) {
  ScoreOptions plain = options(0.2f, true, 0, 0);
  step({0, 0}, {300, 37}, plain, nullptr);
  sources = {300, 37};
  for (const std::vector<int32_t> &count : {std::vector{3, 40}, {1, 1}}) {
    std::vector<double> both = expected(0, 5, count[0], plain, nullptr);
    std::vector<double> second = expected(1, 90, count[1], plain, nullptr);
    both.insert(both.end(), second.begin(), second.end());
    forEveryTarget(
        [&] { expectClose(step({5, 90}, count, plain, nullptr), both, 3e-6); });
  }
}

/// The last row of a prefill has the bits that a decode step gives it.
TEST_P(CachedAttentionTest, decodeEqualsPrefill) {
  ScoreOptions plain = options(0.2f, true, 0, 0);
  forEveryTarget([&] {
    std::vector<float> together = step({0, 0}, {300, 40}, plain, nullptr);
    std::vector<float> alone = step({299, 39}, {1, 1}, plain, nullptr);
    const int64_t width = heads * size;
    EXPECT_TRUE(std::equal(alone.begin(), alone.begin() + width,
                           together.begin() + 299 * width));
    EXPECT_TRUE(std::equal(alone.begin() + width, alone.end(),
                           together.begin() + 339 * width));
  });
}

/// A position is codes and scales of its own bytes, whatever the steps and the
/// threads.
TEST_P(CachedAttentionTest, theCacheDoesNotDependOnTheSteps) {
  std::vector<uint8_t> inOne, inMany;
  ScoreOptions plain = options(0.2f, true, 0, 0);
  step({0, 0}, {150, 97}, plain, nullptr);
  inOne = memory;
  clear();
  step({0, 0}, {41, 1}, plain, nullptr);
  step({41, 1}, {109, 95}, plain, nullptr);
  step({150, 96}, {0, 1}, plain, nullptr);
  inMany = memory;
  EXPECT_EQ(inOne, inMany);
}

INSTANTIATE_TEST_SUITE_P(
    Formats, CachedAttentionTest,
    testing::Values(CacheCase{"f32", "f32"}, CacheCase{"f16", "f16"},
                    CacheCase{"bf16", "bf16"}, CacheCase{"int8", "int8"},
                    CacheCase{"fp8_e4m3", "fp8_e4m3"},
                    CacheCase{"int4", "int4"}, CacheCase{"int8", "f16"},
                    CacheCase{"f32", "int4"}));

} // namespace qopt::host
