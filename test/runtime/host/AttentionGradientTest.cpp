// The gradients of dense attention against those of a plain f64 softmax, which
// are themselves compared with differences of its results.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/AttentionGradient.h"
#include "test/runtime/host/EveryTarget.h"

#include <algorithm>
#include <limits>
#include <memory>

namespace qopt::host {

constexpr double infinity = std::numeric_limits<double>::infinity();
using Numbers = std::vector<double>;

namespace {

struct GradientCase {
  int64_t queries, keys, heads, keyHeads, size, valueSize;
  ScoreOptions options;
  int mask; ///< 0 none, 1 added, 2 boolean
  int64_t distance = 0;
};

/// Attention in f64 with the operands of a call, and its gradients.
class PlainAttention {
public:
  PlainAttention(const GradientCase &c, int64_t batch,
                 const AttentionMask &mask)
      : c(c), batch(batch), mask(mask) {}

  Numbers run(const Numbers &q, const Numbers &k, const Numbers &v) const {
    Numbers y(size_t(batch * c.queries * c.heads * c.valueSize));
    forEachRow([&](int64_t b, int64_t h, int64_t i) {
      Numbers p = probabilities(q, k, b, h, i, nullptr);
      for (int64_t j = 0; j < c.keys; ++j)
        for (int64_t x = 0; x < c.valueSize; ++x)
          y[size_t(queryAt(b, h, i) * c.valueSize + x)] +=
              p[size_t(j)] * v[size_t(keyAt(b, h, j) * c.valueSize + x)];
    });
    return y;
  }

  /// Of Σ dy · y with respect to q, k and v, one behind the other.
  Numbers gradients(const Numbers &q, const Numbers &k, const Numbers &v,
                    const Numbers &dy) const {
    Numbers dq(q.size()), dk(k.size()), dv(v.size());
    forEachRow([&](int64_t b, int64_t h, int64_t i) {
      Numbers slopes, dp(size_t(c.keys));
      Numbers p = probabilities(q, k, b, h, i, &slopes);
      int64_t row = queryAt(b, h, i);
      // The last key that this query counts for.
      int64_t last = c.distance ? i + c.keys - c.queries - c.distance : c.keys;
      double mean = 0;
      for (int64_t j = 0; j < c.keys; ++j) {
        for (int64_t x = 0; x < c.valueSize; ++x) {
          double g = dy[size_t(row * c.valueSize + x)];
          size_t at = size_t(keyAt(b, h, j) * c.valueSize + x);
          dp[size_t(j)] += g * v[at];
          dv[at] += j <= last ? p[size_t(j)] * g : 0;
        }
        mean += p[size_t(j)] * dp[size_t(j)];
      }
      for (int64_t j = 0; j < c.keys; ++j) {
        double du = p[size_t(j)] * (dp[size_t(j)] - mean) * slopes[size_t(j)];
        for (int64_t x = 0; x < c.size; ++x) {
          dq[size_t(row * c.size + x)] +=
              du * k[size_t(keyAt(b, h, j) * c.size + x)];
          dk[size_t(keyAt(b, h, j) * c.size + x)] +=
              j <= last ? du * q[size_t(row * c.size + x)] : 0;
        }
      }
    });
    dq.insert(dq.end(), dk.begin(), dk.end());
    dq.insert(dq.end(), dv.begin(), dv.end());
    return dq;
  }

private:
  template <typename Body> void forEachRow(const Body &body) const {
    for (int64_t b = 0; b < batch; ++b)
      for (int64_t h = 0; h < c.heads; ++h)
        for (int64_t i = 0; i < c.queries; ++i)
          body(b, h, i);
  }
  int64_t queryAt(int64_t b, int64_t h, int64_t i) const {
    return (b * c.queries + i) * c.heads + h;
  }
  int64_t keyAt(int64_t b, int64_t h, int64_t j) const {
    return (b * c.keyHeads + h / (c.heads / c.keyHeads)) * c.keys + j;
  }

  /// Softmax of one row, zeros where all is hidden; `slopes` are what the
  /// scores change by when q · k does.
  Numbers probabilities(const Numbers &q, const Numbers &k, int64_t b,
                        int64_t h, int64_t i, Numbers *slopes) const {
    Numbers scores;
    int64_t end = i + c.keys - c.queries;
    for (int64_t j = 0; j < c.keys; ++j) {
      double s = 0;
      for (int64_t x = 0; x < c.size; ++x)
        s += q[size_t(queryAt(b, h, i) * c.size + x)] *
             k[size_t(keyAt(b, h, j) * c.size + x)];
      double cap = c.options.softcap, slope = c.options.scale;
      s *= c.options.scale;
      if (cap > 0) {
        slope *= 1 - std::pow(std::tanh(s / cap), 2);
        s = cap * std::tanh(s / cap);
      }
      int64_t at = b * mask.batchStride + h * mask.headStride +
                   i * mask.queryStride + j * mask.keyStride;
      s += mask.added ? mask.added[at] : 0;
      bool hidden = (mask.attend && !mask.attend[at]) ||
                    (c.options.causal && j > end) ||
                    (c.options.window && j <= end - c.options.window);
      scores.push_back(hidden ? -infinity : s);
      if (slopes)
        slopes->push_back(slope);
    }
    double largest = *std::max_element(scores.begin(), scores.end()), sum = 0;
    if (largest == -infinity)
      return Numbers(scores.size());
    for (double &s : scores)
      sum += s = std::exp(s - largest);
    for (double &s : scores)
      s /= sum;
    return scores;
  }

  const GradientCase &c;
  int64_t batch;
  AttentionMask mask;
};

Numbers widen(const std::vector<float> &values) {
  return Numbers(values.begin(), values.end());
}

/// Operands, mask and options of one case.
class AttentionGradientTest : public testing::TestWithParam<GradientCase> {
protected:
  static constexpr int64_t batch = 2;
  const GradientCase &c = GetParam();
  std::vector<float> q = randomValues(batch * c.queries * c.heads * c.size, 1);
  std::vector<float> k = randomValues(batch * c.keyHeads * c.keys * c.size, 2);
  std::vector<float> v =
      randomValues(batch * c.keyHeads * c.keys * c.valueSize, 3);
  std::vector<float> dy =
      randomValues(batch * c.queries * c.heads * c.valueSize, 4);
  /// [batch, heads, queries, keys]
  std::vector<float> added =
      randomValues(batch * c.heads * c.queries * c.keys, 5);
  std::unique_ptr<bool[]> attend = std::make_unique<bool[]>(added.size());
  AttentionGradientArguments a;

  void SetUp() override {
    for (size_t i = 0; i < added.size(); ++i) {
      // The first query of the first head sees nothing.
      bool hidden = i % 7 == 0 || i < size_t(c.keys);
      attend[i] = !hidden && added[i] > -0.5f;
      if (hidden)
        added[i] = -std::numeric_limits<float>::infinity();
    }
    AttentionArguments &f = a.forward;
    f.batch = batch;
    f.heads = c.heads;
    f.keyHeads = c.keyHeads;
    f.queries = c.queries;
    f.keys = c.keys;
    f.headSize = c.size;
    f.valueSize = c.valueSize;
    f.query = q.data();
    f.key = k.data();
    f.value = v.data();
    f.options = c.options;
    f.mask.added = c.mask == 1 ? added.data() : nullptr;
    f.mask.attend = c.mask == 2 ? attend.get() : nullptr;
    f.mask.batchStride = c.heads * c.queries * c.keys;
    f.mask.headStride = c.queries * c.keys;
    f.mask.queryStride = c.keys;
    f.mask.keyStride = 1;
    a.outputGradient = dy.data();
    a.distance = c.distance;
  }

  /// dq, dk and dv, one behind the other.
  std::vector<float> gradients(ThreadPool &pool) {
    std::vector<float> y(dy.size());
    a.forward.output = y.data();
    attention(a.forward, pool);
    std::vector<float> out(q.size() + k.size() + v.size(), 7.0f);
    a.queryGradient = out.data();
    a.keyGradient = a.queryGradient + q.size();
    a.valueGradient = a.keyGradient + k.size();
    attentionGradient(a, pool);
    return out;
  }
};

TEST_P(AttentionGradientTest, equalsReference) {
  PlainAttention plain(c, batch, a.forward.mask);
  Numbers expected = plain.gradients(widen(q), widen(k), widen(v), widen(dy));
  forEveryTarget([&] {
    expectClose(withThreads([&](ThreadPool &pool) { return gradients(pool); }),
                expected, 1e-5);
  });
}

/// The reference itself: a small step of one element changes Σ dy · y by its
/// gradient.
TEST_P(AttentionGradientTest, referenceEqualsDifferences) {
  PlainAttention plain(c, batch, a.forward.mask);
  Numbers operands[] = {widen(q), widen(k), widen(v)}, g = widen(dy);
  Numbers expected = plain.gradients(operands[0], operands[1], operands[2], g);
  auto loss = [&] {
    Numbers y = plain.run(operands[0], operands[1], operands[2]);
    double sum = 0;
    for (size_t i = 0; i < y.size(); ++i)
      sum += g[i] * y[i];
    return sum;
  };
  size_t first = 0;
  for (Numbers &operand : operands) {
    for (size_t i = 0; i < operand.size(); i += operand.size() / 5 + 1) {
      constexpr double step = 1e-5;
      double before = operand[i];
      operand[i] = before + step;
      double above = loss();
      operand[i] = before - step;
      double below = loss();
      operand[i] = before;
      EXPECT_NEAR((above - below) / (2 * step), expected[first + i], 1e-7);
    }
    first += operand.size();
  }
}

ScoreOptions options(float scale, bool causal, int64_t window, float softcap) {
  return {scale, causal, window, softcap};
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, AttentionGradientTest,
    testing::Values(
        GradientCase{3, 5, 2, 2, 8, 8, options(0.5f, false, 0, 0), 0},
        GradientCase{1, 300, 4, 2, 16, 16, options(0.25f, true, 0, 0), 0},
        GradientCase{17, 17, 4, 1, 20, 20, options(0.2f, true, 0, 0), 1},
        GradientCase{64, 64, 2, 2, 64, 64, options(0.125f, true, 9, 0), 0},
        GradientCase{40, 300, 2, 1, 16, 24, options(0.25f, true, 0, 3), 0},
        GradientCase{300, 40, 2, 1, 16, 24, options(0.25f, false, 0, 0), 0},
        GradientCase{9, 33, 6, 3, 80, 80, options(0.11f, false, 0, 0), 2},
        GradientCase{33, 270, 2, 2, 5, 3, options(0.4f, true, 50, 5), 2},
        GradientCase{290, 290, 1, 1, 8, 8, options(0.35f, true, 20, 2), 1},
        GradientCase{5, 3, 1, 1, 8, 8, options(0.3f, true, 0, 0), 0}));

/// Gradients of keys and values by queries that are far from them; those of
/// queries are the same.
class FarAttentionGradientTest : public AttentionGradientTest {};

TEST_P(FarAttentionGradientTest, equalsReference) {
  PlainAttention plain(c, batch, a.forward.mask);
  Numbers expected = plain.gradients(widen(q), widen(k), widen(v), widen(dy));
  forEveryTarget([&] {
    expectClose(withThreads([&](ThreadPool &pool) { return gradients(pool); }),
                expected, 1e-5);
  });
}

INSTANTIATE_TEST_SUITE_P(
    Distances, FarAttentionGradientTest,
    testing::Values(
        GradientCase{40, 40, 2, 2, 8, 8, options(0.5f, true, 0, 0), 0, 1},
        GradientCase{300, 300, 4, 2, 16, 16, options(0.25f, true, 0, 0), 0, 32},
        GradientCase{33, 290, 4, 1, 20, 12, options(0.2f, true, 0, 2), 1, 96},
        GradientCase{200, 200, 2, 1, 8, 8, options(0.3f, true, 64, 0), 0, 32},
        GradientCase{64, 64, 2, 2, 8, 8, options(0.3f, true, 20, 0), 2, 32},
        GradientCase{20, 20, 2, 1, 8, 8, options(0.3f, true, 0, 0), 0, 32}));

/// Without keys attention is 0 whatever the queries are.
TEST(AttentionGradient, ofNoKeysIsZero) {
  AttentionGradientArguments a;
  a.forward.batch = a.forward.heads = a.forward.keyHeads = 1;
  a.forward.queries = 2;
  a.forward.headSize = a.forward.valueSize = 4;
  std::vector<float> numbers(8, 1.0f), gradient(8, 7.0f);
  a.forward.query = a.outputGradient = numbers.data();
  a.forward.output = numbers.data();
  a.queryGradient = gradient.data();
  ThreadPool pool(1);
  attentionGradient(a, pool);
  EXPECT_EQ(std::vector<float>(8, 0.0f), gradient);
}

} // namespace
} // namespace qopt::host
