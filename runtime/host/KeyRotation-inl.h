// Keys of a chunk as they are attended to: widened and rotated by their
// positions, [D][16] for each group of 16.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/CacheLines-inl.h"
#include "runtime/host/KeyRotation.h"

#include <cmath>

#if defined(QOPT_RUNTIME_HOST_KEYROTATION_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef QOPT_RUNTIME_HOST_KEYROTATION_INL_H
#undef QOPT_RUNTIME_HOST_KEYROTATION_INL_H
#else
#define QOPT_RUNTIME_HOST_KEYROTATION_INL_H
#endif

HWY_BEFORE_NAMESPACE();
namespace qopt::host::HWY_NAMESPACE {

/// Cosine and sine of an angle.
struct Angle {
  float cos, sin;
};

/// One group of keys; `start` [R/2] are the angles of its first position.
/// `wide` may be `keys` where those are f32: a pair is read before it is
/// written.
template <quant::ElementType type>
void rotateGroup(const KeyRotation &rotation, const Angle *start,
                 const void *keys, int64_t size, float *wide) {
  const FloatTag d;
  const int64_t count = rotation.count;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t first = rotation.interleaved ? 2 * i : i;
    const int64_t second = rotation.interleaved ? 2 * i + 1 : count + i;
    const auto startCos = hn::Set(d, start[i].cos);
    const auto startSin = hn::Set(d, start[i].sin);
    for (int64_t part = 0; part < lineVectors; ++part) {
      const int64_t at = part * lineLanes;
      const float *cosines = rotation.tables->stepCos.data() + i * groupKeys;
      const float *sines = rotation.tables->stepSin.data() + i * groupKeys;
      const auto stepCos = hn::LoadU(d, cosines + at);
      const auto stepSin = hn::LoadU(d, sines + at);
      const auto cos =
          hn::MulSub(startCos, stepCos, hn::Mul(startSin, stepSin));
      const auto sin =
          hn::MulAdd(startSin, stepCos, hn::Mul(startCos, stepSin));
      const auto x = loadKeys<type>(keys, first, part);
      const auto y = loadKeys<type>(keys, second, part);
      hn::StoreU(hn::MulSub(x, cos, hn::Mul(y, sin)), d,
                 wide + first * groupKeys + at);
      hn::StoreU(hn::MulAdd(x, sin, hn::Mul(y, cos)), d,
                 wide + second * groupKeys + at);
    }
  }
  for (int64_t i = 2 * count; i < size; ++i)
    for (int64_t part = 0; part < lineVectors; ++part)
      hn::StoreU(loadKeys<type>(keys, i, part), d,
                 wide + i * groupKeys + part * lineLanes);
}

using RotateFunction = void (*)(const KeyRotation &, const Angle *,
                                const void *, int64_t, float *);
inline RotateFunction rotateFunction(quant::ElementType type) {
  switch (type) {
  case quant::ElementType::F32:
    return rotateGroup<quant::ElementType::F32>;
  case quant::ElementType::F16:
    return rotateGroup<quant::ElementType::F16>;
  case quant::ElementType::BF16:
    return rotateGroup<quant::ElementType::BF16>;
  case quant::ElementType::Int8:
    return rotateGroup<quant::ElementType::Int8>;
  case quant::ElementType::Fp8E4m3:
    return rotateGroup<quant::ElementType::Fp8E4m3>;
  default:
    return rotateGroup<quant::ElementType::Int4>;
  }
}

/// Rotates the groups of a chunk from `firstGroup` on and points the chunk to
/// them. Scales of positions stay what they are: a rotation keeps them.
/// `angles` has room for 2 · R/2, `wide` for chunkKeys · D.
HWY_INLINE void rotateKeys(const KeyRotation &rotation, quant::ElementType type,
                           int64_t size, int64_t firstGroup, KeyChunk &chunk,
                           Angle *angles, float *wide) {
  Angle *group = angles + rotation.count;
  for (int64_t i = 0; i < rotation.count; ++i) {
    const double angle =
        static_cast<double>(chunk.start) * rotation.frequencies[i];
    angles[i] = {static_cast<float>(std::cos(angle)),
                 static_cast<float>(std::sin(angle))};
  }
  const RotateFunction rotate = rotateFunction(type);
  for (int64_t g = firstGroup; g * groupKeys < chunk.keys; ++g) {
    const float *cosines =
        rotation.tables->blockCos.data() + g * rotation.count;
    const float *sines = rotation.tables->blockSin.data() + g * rotation.count;
    for (int64_t i = 0; i < rotation.count; ++i)
      group[i] = {angles[i].cos * cosines[i] - angles[i].sin * sines[i],
                  angles[i].sin * cosines[i] + angles[i].cos * sines[i]};
    float *target = wide + g * groupKeys * size;
    rotate(rotation, group, chunk.keyGroups[g], size, target);
    chunk.keyGroups[g] = target;
  }
}

} // namespace qopt::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // per-target guard
