// Rotary embedding and its table. Both are small beside the linear layers; the
// table is worth vectors only because libm's f64 sine is slow.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/Rotary.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/host/Rotary.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include "runtime/host/VectorMath-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qopt::host::HWY_NAMESPACE {

/// One pair. Products are rounded before they are added, in vectors and here,
/// so that a pair's bits depend neither on its place nor on the processor, and
/// are those of a GPU's kernel.
HWY_INLINE void rotatePair(float a, float b, float cos, float sin, float &x,
                           float &y) {
  const float ac = a * cos, bs = b * sin, as = a * sin, bc = b * cos;
  x = ac - bs;
  y = as + bc;
}

/// A head in half-split pairs; x and y may be the same.
HWY_INLINE void rotateHalves(const float *x, const float *cos, const float *sin,
                             int64_t half, float *y) {
  const FloatTag d;
  const int64_t lanes = hn::Lanes(d);
  int64_t i = 0;
  for (; i + lanes <= half; i += lanes) {
    const auto a = hn::LoadU(d, x + i), b = hn::LoadU(d, x + half + i);
    const auto c = hn::LoadU(d, cos + i), s = hn::LoadU(d, sin + i);
    hn::StoreU(hn::Sub(hn::Mul(a, c), hn::Mul(b, s)), d, y + i);
    hn::StoreU(hn::Add(hn::Mul(a, s), hn::Mul(b, c)), d, y + half + i);
  }
  for (; i < half; ++i)
    rotatePair(x[i], x[half + i], cos[i], sin[i], y[i], y[half + i]);
}

HWY_INLINE void rotatePairs(const float *x, const float *cos, const float *sin,
                            int64_t half, float *y) {
  for (int64_t i = 0; i < half; ++i)
    rotatePair(x[2 * i], x[2 * i + 1], cos[i], sin[i], y[2 * i], y[2 * i + 1]);
}

void rotateTokens(const RotaryArguments &a, int64_t begin, int64_t end) {
  const int64_t half = a.rotated / 2;
  for (int64_t token = begin; token < end; ++token) {
    const float *cos = a.cos + token % a.tableRows * half;
    const float *sin = a.sin + token % a.tableRows * half;
    for (int64_t head = 0; head < a.heads; ++head) {
      const float *x = a.input + token * a.inputStride + head * a.headSize;
      float *y = a.output + token * a.outputStride + head * a.headSize;
      a.interleaved ? rotatePairs(x, cos, sin, half, y)
                    : rotateHalves(x, cos, sin, half, y);
      if (x != y)
        std::memcpy(y + a.rotated, x + a.rotated,
                    (a.headSize - a.rotated) * sizeof(float));
    }
  }
}

using DoubleTag = hn::ScalableTag<double>;
using HalfFloatTag = hn::Rebind<float, DoubleTag>;

/// sin and cos of |r| ≤ π/4 (fits: 3e-12, 1e-13), then moved by `quadrant`
/// quarters of a turn.
HWY_INLINE void sineCosine(HalfFloatTag d, hn::Vec<HalfFloatTag> r,
                           hn::Vec<hn::RebindToSigned<HalfFloatTag>> quadrant,
                           hn::Vec<HalfFloatTag> &sine,
                           hn::Vec<HalfFloatTag> &cosine) {
  const hn::RebindToSigned<HalfFloatTag> di;
  const auto u = hn::Mul(r, r);
  auto p = hn::MulAdd(u, hn::Set(d, 2.715619410e-06f),
                      hn::Set(d, -1.983899921e-04f));
  p = hn::MulAdd(u, p, hn::Set(d, 8.333328085e-03f));
  p = hn::MulAdd(u, p, hn::Set(d, -1.666666663e-01f));
  const auto s = hn::MulAdd(hn::Mul(u, r), p, r);
  auto q = hn::MulAdd(u, hn::Set(d, -2.720678656e-07f),
                      hn::Set(d, 2.479947860e-05f));
  q = hn::MulAdd(u, q, hn::Set(d, -1.388888360e-03f));
  q = hn::MulAdd(u, q, hn::Set(d, 4.166666662e-02f));
  const auto c = hn::MulAdd(
      hn::Mul(u, u), q, hn::NegMulAdd(u, hn::Set(d, 0.5f), hn::Set(d, 1.0f)));
  const auto one = hn::Set(di, 1), two = hn::Set(di, 2);
  const auto odd = hn::RebindMask(d, hn::Eq(hn::And(quadrant, one), one));
  const auto sineSign = hn::ShiftLeft<30>(hn::And(quadrant, two));
  const auto cosineSign =
      hn::ShiftLeft<30>(hn::And(hn::Add(quadrant, one), two));
  sine = hn::Xor(hn::IfThenElse(odd, c, s), hn::BitCast(d, sineSign));
  cosine = hn::Xor(hn::IfThenElse(odd, s, c), hn::BitCast(d, cosineSign));
}

/// One token: angles in f64, reduced by multiples of π/2 given in two parts.
HWY_INLINE void tableRow(double position, const float *frequencies,
                         int64_t count, float scale, float *cos, float *sin) {
  const DoubleTag dd;
  const HalfFloatTag d;
  const int64_t lanes = hn::Lanes(d);
  const hn::RebindToSigned<HalfFloatTag> di;
  HWY_ALIGN float in[hn::MaxLanes(DoubleTag())];
  HWY_ALIGN float sines[hn::MaxLanes(DoubleTag())];
  HWY_ALIGN float cosines[hn::MaxLanes(DoubleTag())];
  for (int64_t i = 0; i < count; i += lanes) {
    const int64_t n = HWY_MIN(lanes, count - i);
    std::memset(in, 0, sizeof(in));
    std::memcpy(in, frequencies + i, n * sizeof(float));
    const auto angle =
        hn::Mul(hn::PromoteTo(dd, hn::Load(d, in)), hn::Set(dd, position));
    const auto turns =
        hn::Round(hn::Mul(angle, hn::Set(dd, 0.63661977236758134308)));
    auto r = hn::NegMulAdd(turns, hn::Set(dd, 1.57079632679489655800), angle);
    r = hn::NegMulAdd(turns, hn::Set(dd, 6.12323399573676603587e-17), r);
    hn::Vec<HalfFloatTag> s, c;
    sineCosine(d, hn::DemoteTo(d, r), hn::DemoteTo(di, turns), s, c);
    hn::Store(hn::Mul(s, hn::Set(d, scale)), d, sines);
    hn::Store(hn::Mul(c, hn::Set(d, scale)), d, cosines);
    std::memcpy(sin + i, sines, n * sizeof(float));
    std::memcpy(cos + i, cosines, n * sizeof(float));
  }
}

void tableRows(const RotaryTableArguments &a, int64_t begin, int64_t end) {
  for (int64_t token = begin; token < end; ++token)
    tableRow(a.positions[token], a.inverseFrequencies, a.count, a.scale,
             a.cos + token * a.count, a.sin + token * a.count);
}

} // namespace qopt::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qopt::host {

HWY_EXPORT(rotateTokens);
HWY_EXPORT(tableRows);

void rotateTokens(const RotaryArguments &arguments, int64_t begin,
                  int64_t end) {
  HWY_DYNAMIC_DISPATCH(rotateTokens)(arguments, begin, end);
}

void rotary(const RotaryArguments &arguments, ThreadPool &pool) {
  auto body = HWY_DYNAMIC_DISPATCH(rotateTokens);
  int64_t grain = 16384 / (arguments.heads * arguments.headSize) + 1;
  pool.parallelFor(arguments.tokens, grain, [&](int64_t begin, int64_t end) {
    body(arguments, begin, end);
  });
}

void rotaryTable(const RotaryTableArguments &arguments, ThreadPool &pool) {
  auto body = HWY_DYNAMIC_DISPATCH(tableRows);
  int64_t grain = 2048 / (arguments.count + 1) + 1;
  pool.parallelFor(arguments.tokens, grain, [&](int64_t begin, int64_t end) {
    body(arguments, begin, end);
  });
}

} // namespace qopt::host
#endif // HWY_ONCE
