// Sixteen sums, in as many vectors as that takes.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/algorithms/GroupError.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/Quant/algorithms/GroupError.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace qopt::quant::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Weights that are taken at once.
constexpr int64_t together = 16;
using Tag = hn::CappedTag<float, together>;
using Floats = hn::Vec<Tag>;

/// roundToEven (Grid.h), within a range.
HWY_INLINE Floats roundWithin(Floats x, Floats low, Floats high, Floats after) {
  const Floats magic = hn::Set(Tag(), 0x1.8p23f);
  x = hn::Add(hn::Sub(hn::Add(x, magic), magic), after);
  return hn::Min(hn::Max(x, low), high);
}

/// The number of the book that is nearest: behind every middle the next.
HWY_INLINE Floats nearestInBook(Floats x, const GroupError::Rule &rule) {
  Floats number = hn::Set(Tag(), rule.numbers[0]);
  for (int64_t i = 0; i < rule.middleCount; ++i)
    number = hn::IfThenElse(hn::Gt(x, hn::Set(Tag(), rule.middles[i])),
                            hn::Set(Tag(), rule.numbers[i + 1]), number);
  return number;
}

/// The errors of `count` weights, whole sixteens, as sixteen sums. Products and
/// sums are rounded one by one: a fused one would choose other grids on
/// processors that have it.
template <bool isBook>
void addErrors(const GroupError::Rule &rule, const float *weights,
               const float *costs, int64_t count, float *results) {
  const Tag d;
  constexpr auto lanes = static_cast<int64_t>(hn::MaxLanes(d));
  constexpr int64_t vectors = together / lanes;
  const Floats scale = hn::Set(d, rule.scale), zero = hn::Set(d, rule.zero),
               before = hn::Set(d, rule.addsBefore ? rule.zero : 0),
               after = hn::Set(d, rule.addsAfter ? rule.zero : 0),
               low = hn::Set(d, rule.low), high = hn::Set(d, rule.high);
  Floats sums[vectors];
  for (int64_t v = 0; v < vectors; ++v)
    sums[v] = hn::Zero(d);
  for (int64_t i = 0; i < count; i += together)
    for (int64_t v = 0; v < vectors; ++v) {
      Floats weight = hn::LoadU(d, weights + i + v * lanes);
      Floats x = hn::Add(hn::Div(weight, scale), before);
      Floats number =
          isBook ? nearestInBook(x, rule) : roundWithin(x, low, high, after);
      Floats error = hn::Sub(hn::Mul(scale, hn::Sub(number, zero)), weight);
      sums[v] = hn::Add(sums[v], hn::Mul(hn::Mul(error, error),
                                         hn::LoadU(d, costs + i + v * lanes)));
    }
  for (int64_t v = 0; v < vectors; ++v)
    hn::StoreU(sums[v], d, results + v * lanes);
}

void sixteenErrors(const GroupError::Rule &rule, const float *weights,
                   const float *costs, int64_t count, float *results) {
  rule.numbers ? addErrors<true>(rule, weights, costs, count, results)
               : addErrors<false>(rule, weights, costs, count, results);
}

} // namespace qopt::quant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qopt::quant {

HWY_EXPORT(sixteenErrors);

GroupError::GroupError(const GridShape &shape) : shape(shape) {
  const std::vector<float> &numbers = shape.levels.numbers();
  for (size_t i = 1; i < numbers.size(); ++i)
    middles.push_back((numbers[i - 1] + numbers[i]) / 2);
}

/// The errors of a few weights, added to `sum` one by one.
static double addOneByOne(const GridShape &shape, const GroupParameters &group,
                          const float *weights, const float *costs,
                          int64_t count, double sum) {
  for (int64_t i = 0; i < count; ++i) {
    float error = group.value(shape.nearest(group, weights[i])) - weights[i];
    sum += error * error * costs[i];
  }
  return sum;
}

/// The errors of numbers of an element type that has its own conversion, as
/// sixteen sums.
static void elementErrors(const GridShape &shape, const GroupParameters &group,
                          const float *weights, const float *costs,
                          int64_t count, float *sums) {
  constexpr int64_t some = 64;
  float numbers[some];
  for (int64_t begin = 0; begin < count; begin += some) {
    int64_t length = std::min(some, count - begin);
    roundGroup(shape, group, weights + begin, length, numbers);
    for (int64_t i = 0; i < length; ++i) {
      float error = group.value(numbers[i]) - weights[begin + i];
      sums[i % 16] += error * error * costs[begin + i];
    }
  }
}

double GroupError::of(const GroupParameters &group, const float *weights,
                      const float *costs, int64_t count) const {
  float sums[16] = {};
  int64_t whole = group.scale == 0 ? 0 : count / 16 * 16;
  const Levels &levels = shape.levels;
  bool isBook = !levels.numbers().empty();
  if (whole && !isBook && !levels.isInteger()) {
    elementErrors(shape, group, weights, costs, whole, sums);
  } else if (whole) {
    bool isInteger = shape.format.zero == ZeroType::U8;
    HWY_DYNAMIC_DISPATCH(sixteenErrors)
    ({.scale = group.scale,
      .zero = group.zero,
      .addsBefore = !isInteger,
      .addsAfter = isInteger,
      .low = levels.low(),
      .high = levels.high(),
      .numbers = isBook ? levels.numbers().data() : nullptr,
      .middles = middles.data(),
      .middleCount = int64_t(middles.size())},
     weights, costs, whole, sums);
  }
  double sum = 0;
  for (float part : sums)
    sum += part;
  return addOneByOne(shape, group, weights + whole, costs + whole,
                     count - whole, sum);
}

} // namespace qopt::quant
#endif // HWY_ONCE
