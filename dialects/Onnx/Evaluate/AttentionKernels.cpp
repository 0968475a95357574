// Attention and RotaryEmbedding, as the standard's text says them: plain loops
// in double.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/Evaluate/Kernel.h"
#include <algorithm>
#include <cmath>

using namespace mlir;

namespace qopt::onnx {
namespace {

using Shape = HostTensor::Shape;

/// A tensor [B, heads, S, D], or [B, S, heads · D], read by head.
struct Heads {
  int64_t batch = 0, heads = 0, length = 0, size = 0;
  bool flat = false;
  std::vector<double> values;

  static Heads of(const HostTensor &tensor, int64_t heads, bool withData) {
    Heads result;
    result.flat = tensor.rank() == 3;
    result.batch = tensor.dim(0);
    result.heads = result.flat ? heads : tensor.dim(1);
    result.length = tensor.dim(result.flat ? 1 : 2);
    result.size = result.flat ? tensor.dim(2) / std::max<int64_t>(1, heads)
                              : tensor.dim(3);
    if (withData)
      result.values = tensor.floats();
    return result;
  }
  int64_t position(int64_t b, int64_t h, int64_t s) const {
    return (flat ? (b * length + s) * heads + h
                 : (b * heads + h) * length + s) *
           size;
  }
  const double *row(int64_t b, int64_t h, int64_t s) const {
    return values.data() + position(b, h, s);
  }
};

//===--------------------------------------------------------------------===//
// Attention
//===--------------------------------------------------------------------===//

/// The operands of one Attention, past and new keys joined.
struct AttentionProblem {
  explicit AttentionProblem(const Call &call) : call(call) {}

  const Call &call;
  Heads q, k, v, pastKey, pastValue;
  int64_t past = 0, keys = 0;
  double scale = 1, softcap = 0;
  std::vector<double> mask; ///< [B, heads, S, maskKeys], added
  int64_t maskKeys = 0;

  const double *key(int64_t b, int64_t h, int64_t t) const {
    int64_t shared = h / (q.heads / k.heads);
    return t < past ? pastKey.row(b, shared, t) : k.row(b, shared, t - past);
  }
  const double *value(int64_t b, int64_t h, int64_t t) const {
    int64_t shared = h / (q.heads / v.heads);
    return t < past ? pastValue.row(b, shared, t) : v.row(b, shared, t - past);
  }
  /// Keys before query 0: what the causal edge and windows are aligned with.
  int64_t offset(int64_t b) const {
    return call.has(6) && !call.has(4) ? call.in(6).intAt(b) - q.length : past;
  }
  double bias(int64_t b, int64_t h, int64_t s, int64_t t) const {
    int64_t distance = s + offset(b) - t;
    int64_t left = call.attr("left_window_size", -1);
    int64_t right = call.attr("right_window_size", -1);
    if ((call.attr("is_causal", 0) && distance < 0) ||
        (left >= 0 && distance > left) || (right >= 0 && -distance > right) ||
        (call.has(6) && t >= call.in(6).intAt(b)))
      return -INFINITY;
    if (!call.has(3))
      return 0;
    return t < maskKeys
               ? mask[((b * q.heads + h) * q.length + s) * maskKeys + t]
               : -INFINITY;
  }
};

/// The mask as numbers to add, over [B, heads, S, keys of the mask].
Status readMask(AttentionProblem &problem) {
  if (!problem.call.has(3))
    return {};
  const HostTensor &mask = problem.call.in(3);
  if (mask.rank() == 0)
    return Call::fail("the mask has no keys");
  problem.maskKeys = std::min(problem.keys, mask.shape().back());
  Shape full{problem.q.batch, problem.q.heads, problem.q.length,
             mask.shape().back()};
  auto joined = broadcastShapes(mask.shape(), full);
  if (!joined || *joined != full)
    return Call::fail("the mask does not broadcast to the scores");
  std::vector<double> values = mask.floats();
  for (int64_t from :
       stridedPositions(full, broadcastStrides(mask.shape(), full)))
    problem.mask.push_back(mask.element() == Element::Bool
                               ? (values[from] != 0 ? 0 : -INFINITY)
                               : values[from]);
  problem.maskKeys = mask.shape().back();
  return {};
}

/// Scores of one query; `shown` is what qk_matmul_output_mode asks to see.
/// Afterwards the scores are probabilities, all 0 where every key is blocked.
void softmaxRow(const AttentionProblem &problem, int64_t b, int64_t h,
                int64_t s, std::vector<double> &scores, double *shown) {
  int64_t mode = problem.call.attr("qk_matmul_output_mode", 0);
  auto show = [&](int64_t which) {
    if (shown && mode == which)
      std::copy(scores.begin(), scores.end(), shown);
  };
  const double *query = problem.q.row(b, h, s);
  for (int64_t t = 0; t < problem.keys; ++t) {
    const double *key = problem.key(b, h, t);
    scores[t] = 0;
    for (int64_t d = 0; d < problem.q.size; ++d)
      scores[t] += query[d] * key[d];
    scores[t] *= problem.scale;
  }
  show(0);
  if (problem.softcap > 0)
    for (double &score : scores)
      score = std::tanh(score / problem.softcap) * problem.softcap;
  show(1);
  double largest = -INFINITY;
  for (int64_t t = 0; t < problem.keys; ++t) {
    scores[t] += problem.bias(b, h, s, t);
    largest = std::max(largest, scores[t]);
  }
  show(2);
  double total = 0;
  for (double &score : scores) {
    score = std::isinf(largest) && largest < 0 ? 0 : std::exp(score - largest);
    total += score;
  }
  for (double &score : scores)
    score /= total == 0 ? 1 : total;
  show(3);
}

/// [B, heads, past + new, size] of a cache; without data where nobody asks for
/// it, whose element is none.
HostTensor joinedCache(const AttentionProblem &problem, const Heads &fresh,
                       bool isKey, Element element, bool withData) {
  Shape shape{fresh.batch, fresh.heads, problem.keys, fresh.size};
  if (!withData || element == Element::None)
    return HostTensor::shapeOnly(element, shape);
  const Heads &old = isKey ? problem.pastKey : problem.pastValue;
  std::vector<double> values;
  for (int64_t b = 0; b < fresh.batch; ++b)
    for (int64_t h = 0; h < fresh.heads; ++h)
      for (int64_t t = 0; t < problem.keys; ++t) {
        const double *row = t < problem.past
                                ? old.row(b, h, t)
                                : fresh.row(b, h, t - problem.past);
        values.insert(values.end(), row, row + fresh.size);
      }
  return HostTensor::ofFloats(element, shape, values);
}

/// y and the scores that are asked to be seen.
std::pair<HostTensor, HostTensor> attend(const AttentionProblem &problem) {
  const Call &call = problem.call;
  const Heads &q = problem.q;
  Shape shape = q.flat ? Shape{q.batch, q.length, q.heads * problem.v.size}
                       : Shape{q.batch, q.heads, q.length, problem.v.size};
  Shape shown{q.batch, q.heads, q.length, problem.keys};
  if (!call.data())
    return {HostTensor::shapeOnly(call.element(), shape),
            HostTensor::shapeOnly(call.element(), shown)};
  Heads y = q;
  y.size = problem.v.size;
  y.values.assign(countOf(shape), 0);
  std::vector<double> scores(problem.keys), all(countOf(shown));
  for (int64_t b = 0; b < q.batch; ++b)
    for (int64_t h = 0; h < q.heads; ++h)
      for (int64_t s = 0; s < q.length; ++s) {
        double *place =
            all.data() + ((b * q.heads + h) * q.length + s) * problem.keys;
        softmaxRow(problem, b, h, s, scores, place);
        double *out = y.values.data() + y.position(b, h, s);
        for (int64_t t = 0; t < problem.keys; ++t)
          for (int64_t d = 0; d < y.size; ++d)
            out[d] += scores[t] * problem.value(b, h, t)[d];
      }
  return {HostTensor::ofFloats(call.element(), shape, y.values),
          HostTensor::ofFloats(call.element(), shown, all)};
}

KernelResult attention(const Call &call) {
  bool data = call.data();
  int64_t kvHeads = call.attr("kv_num_heads", 1);
  AttentionProblem problem(call);
  problem.q = Heads::of(call.in(0), call.attr("q_num_heads", 1), data);
  problem.k = Heads::of(call.in(1), kvHeads, data);
  problem.v = Heads::of(call.in(2), kvHeads, data);
  if (call.has(4)) {
    problem.pastKey = Heads::of(call.in(4), kvHeads, data);
    problem.pastValue = Heads::of(call.in(5), kvHeads, data);
    problem.past = problem.pastKey.length;
  }
  problem.keys = problem.past + problem.k.length;
  if (problem.k.heads == 0 || problem.q.heads % problem.k.heads ||
      problem.q.size != problem.k.size)
    return Call::fail("queries and keys do not fit each other");
  problem.scale = call.attrFloat(
      "scale", 1 / std::sqrt(static_cast<double>(problem.q.size)));
  problem.softcap = call.attrFloat("softcap", 0);
  QOPT_RETURN_IF_ERROR(call.admit(
      {problem.q.batch, problem.q.heads, problem.q.length, problem.keys}));
  if (data)
    QOPT_RETURN_IF_ERROR(readMask(problem));
  auto [y, scores] = attend(problem);
  Results results{
      y, joinedCache(problem, problem.k, true, call.element(1), data),
      joinedCache(problem, problem.v, false, call.element(2), data), scores};
  results.resize(call.resultCount());
  for (unsigned i = 1; i < call.resultCount(); ++i)
    if (call.element(i) == Element::None)
      results[i] = HostTensor();
  return results;
}

//===--------------------------------------------------------------------===//
// RotaryEmbedding
//===--------------------------------------------------------------------===//

/// Where the operands are; com.microsoft has them in another order.
struct RotaryOperands {
  size_t cosine = 1, sine = 2, positions = 3;
};

KernelResult rotate(const Call &call, RotaryOperands at) {
  const HostTensor &x = call.in(0);
  if (!call.data())
    return one(x.withoutData());
  int64_t heads = call.attr("num_heads", 0);
  int64_t half = call.in(at.cosine).shape().back();
  int64_t turned = call.attr("rotary_embedding_dim", 0);
  if (heads == 0 && x.rank() == 3) // the whole head turns
    heads = x.dim(2) / (2 * half);
  Heads rows = Heads::of(x, heads, true);
  turned = turned ? turned : rows.size;
  if (2 * half != turned || turned > rows.size)
    return Call::fail("the caches do not fit the rotated channels");
  std::vector<double> cosine = call.in(at.cosine).floats();
  std::vector<double> sine = call.in(at.sine).floats();
  bool interleaved = call.attr("interleaved", 0) != 0;
  std::vector<double> result = rows.values;
  for (int64_t b = 0; b < rows.batch; ++b)
    for (int64_t s = 0; s < rows.length; ++s) {
      int64_t row = b * rows.length + s;
      if (call.has(at.positions)) {
        const HostTensor &positions = call.in(at.positions);
        row = positions.count() == 1 ? positions.intAt(0) + s
                                     : positions.intAt(row);
      }
      if (row < 0 || (row + 1) * half > call.in(at.cosine).count())
        return Call::fail("position " + Twine(row) + " is beyond the caches");
      for (int64_t h = 0; h < rows.heads; ++h)
        for (int64_t i = 0; i < half; ++i) {
          int64_t start = rows.position(b, h, s);
          int64_t a = start + (interleaved ? 2 * i : i);
          int64_t o = start + (interleaved ? 2 * i + 1 : i + half);
          double c = cosine[row * half + i], t = sine[row * half + i];
          result[a] = c * rows.values[a] - t * rows.values[o];
          result[o] = t * rows.values[a] + c * rows.values[o];
        }
    }
  return one(HostTensor::ofFloats(call.element(), x.shape(), result));
}

KernelResult rotaryEmbedding(const Call &call) { return rotate(call, {}); }
KernelResult microsoftRotary(const Call &call) {
  return rotate(call, {.cosine = 2, .sine = 3, .positions = 1});
}

constexpr KernelEntry entries[] = {
    {"Attention", attention},
    {"RotaryEmbedding", rotaryEmbedding},
    {"ms.RotaryEmbedding", microsoftRotary},
};

} // namespace

ArrayRef<KernelEntry> attentionKernels() { return entries; }

} // namespace qopt::onnx
