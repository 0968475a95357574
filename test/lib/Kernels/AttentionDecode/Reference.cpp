// Softmax attention in double, and how far f32 sums and 16-bit probabilities
// may be from it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Case.h"

#include "lib/Quant/Element.h"

#include <algorithm>
#include <cmath>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::attention_decode;
using quant::ElementType;

/// Whether a row at `position` reads that of `key` with 16 bits.
static bool readsHalves(const Problem &problem, int64_t position, int64_t key) {
  const cuda::KvPageLayout &cache = problem.cache;
  return cache.recent && (key > position - cache.recent || key < cache.first);
}

/// How far a score may be from scoreOf's: where keys are in groups, queries are
/// rounded once more, with the scales in them.
static double scoreBound(const Case &test, const Arrays &arrays,
                         size_t sequence, int64_t token, int64_t head,
                         int64_t key) {
  const Problem &problem = test.problem;
  if (!problem.cache.keyGroup())
    return 0;
  double unit = problem.activation == ElementType::BF16 ? 0x1p-9 : 0x1p-12;
  int64_t size = problem.cache.keySize;
  const float *q = arrays.query.data() + (token * problem.heads + head) * size;
  const float *k =
      arrays.keys[sequence].data() +
      (key * problem.cache.keyHeads + head / problem.sharing()) * size;
  // Without its offset a key may be twice the largest, 6 here.
  double sum = 0, more = problem.cache.keyOffsets() ? 6 : 0;
  for (int64_t i = 0; i < size; ++i)
    sum += std::fabs(double(q[i])) * (std::fabs(double(k[i])) + more);
  // Offsets are rounded to the type of the activations.
  if (problem.cache.keyOffsets() && problem.activation == ElementType::BF16)
    sum *= 2;
  return 1.01 * unit * sum * problem.scale;
}

static double scoreOf(const Case &test, const Arrays &arrays, size_t sequence,
                      int64_t token, int64_t head, int64_t position,
                      int64_t key) {
  const Problem &problem = test.problem;
  int64_t size = problem.cache.keySize;
  const float *q = arrays.query.data() + (token * problem.heads + head) * size;
  const auto &keys =
      readsHalves(problem, position, key) ? arrays.halfKeys : arrays.keys;
  const float *k =
      keys[sequence].data() +
      (key * problem.cache.keyHeads + head / problem.sharing()) * size;
  double score = 0;
  for (int64_t i = 0; i < size; ++i)
    score += double(q[i]) * k[i];
  score *= problem.scale;
  if (problem.softcap > 0)
    score = problem.softcap * std::tanh(score / problem.softcap);
  if (problem.slopes)
    score += double(arrays.slopes[head]) * double(key - position);
  return score;
}

namespace {
struct Expected {
  std::vector<double> value, bound;
};
} // namespace

/// One row: all channels of a head of a token.
static Expected expectedOf(const Case &test, const Arrays &arrays,
                           size_t sequence, int64_t token, int64_t head,
                           int64_t position) {
  const Problem &problem = test.problem;
  int64_t size = problem.cache.valueSize;
  int64_t first =
      problem.window ? std::max<int64_t>(position + 1 - problem.window, 0) : 0;
  const SequenceCase &seen = test.sequences[sequence];
  int64_t end = problem.causal ? position + 1 : seen.context + seen.tokens;
  std::vector<double> scores;
  for (int64_t key = first; key < end; ++key)
    scores.push_back(
        scoreOf(test, arrays, sequence, token, head, position, key));
  double largest = *std::max_element(scores.begin(), scores.end());
  if (problem.sinks)
    largest = std::max<double>(largest, arrays.sinks[head]);
  double total = problem.sinks ? std::exp(arrays.sinks[head] - largest) : 0;
  for (double &score : scores)
    total += score = std::exp(score - largest);
  // Probabilities are rounded to 16 bits; sums of scores and exponentials are
  // f32 and add less.
  double unit = problem.activation == ElementType::BF16 ? 0x1p-8 : 0x1p-11;
  Expected result{std::vector<double>(size), std::vector<double>(size)};
  for (int64_t key = first; key < end; ++key)
    for (int64_t i = 0; i < size; ++i) {
      const auto &values = readsHalves(problem, position, key)
                               ? arrays.halfValues
                               : arrays.values;
      double value =
          values[sequence]
                [(key * problem.cache.keyHeads + head / problem.sharing()) *
                     size +
                 i];
      double part = scores[size_t(key - first)] / total * value;
      result.value[i] += part;
      result.bound[i] += std::fabs(part) * (unit + 0x1p-14);
    }
  for (int64_t i = 0; i < size; ++i)
    result.bound[i] += unit * std::fabs(result.value[i]) + 0x1p-24;
  for (int64_t key = first; key < end; ++key) {
    double error = scoreBound(test, arrays, sequence, token, head, key) *
                   scores[size_t(key - first)] / total;
    const float *value =
        arrays.values[sequence].data() +
        (key * problem.cache.keyHeads + head / problem.sharing()) * size;
    for (int64_t i = 0; error > 0 && i < size; ++i)
      result.bound[i] +=
          error * (std::fabs(value[i]) + std::fabs(result.value[i]));
  }
  return result;
}

Status attention_decode::check(const Case &test, const Arrays &arrays,
                               const Tensor &output, const Tensor &counters) {
  auto wrong = [](const std::string &what) {
    return Status(StatusCode::GateFailed, what);
  };
  for (int64_t i = 0; i < counters.elements(); ++i)
    if (counters.as<uint32_t>()[i])
      return wrong("counter " + std::to_string(i) + " is not zero again");
  const Problem &problem = test.problem;
  int64_t size = problem.cache.valueSize, token = 0;
  std::vector<float> got(output.elements());
  quant::elementOf(problem.activation)
      .decode(output.as<uint8_t>(), output.elements(), got.data());
  for (size_t s = 0; s < test.sequences.size(); ++s)
    for (int64_t i = 0; i < test.sequences[s].tokens; ++i, ++token)
      for (int64_t head = 0; head < problem.heads; ++head) {
        Expected expected = expectedOf(test, arrays, s, token, head,
                                       test.sequences[s].context + i);
        for (int64_t c = 0; c < size; ++c) {
          double value = got[(token * problem.heads + head) * size + c];
          if (!(std::fabs(value - expected.value[c]) <= expected.bound[c]))
            return wrong("token " + std::to_string(token) + " head " +
                         std::to_string(head) + " channel " +
                         std::to_string(c) + ": expected " +
                         std::to_string(expected.value[c]) + " ± " +
                         std::to_string(expected.bound[c]) + ", got " +
                         std::to_string(value));
        }
      }
  return Status();
}
