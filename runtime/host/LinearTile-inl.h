// What the linear kernels share: a line of 16 f32 as vectors, and the epilogue
// that adds bias and residual.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/Linear.h"
#include "runtime/host/Simd-inl.h"

#include <bit>

#if defined(QOPT_RUNTIME_HOST_LINEARTILE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef QOPT_RUNTIME_HOST_LINEARTILE_INL_H
#undef QOPT_RUNTIME_HOST_LINEARTILE_INL_H
#else
#define QOPT_RUNTIME_HOST_LINEARTILE_INL_H
#endif

HWY_BEFORE_NAMESPACE();
namespace qopt::host::HWY_NAMESPACE {

/// Vectors that hold the 16 rows of a tile, and rows of one vector.
constexpr int64_t lineLanes = hn::MaxLanes(FloatTag());
constexpr int64_t lineVectors = tileRows / lineLanes;

/// The layout's offsets and counts, computed once for a call: for small layers
/// that is a part of the time.
struct TileSizes {
  explicit TileSizes(const LinearLayout &layout)
      : blocks(layout.blocks()), blocksPerGroup(layout.blocksPerGroup()),
        groupsPerBlock(layout.groupsPerBlock()),
        scaleOffset(layout.scaleOffset()), zeroOffset(layout.zeroOffset()),
        unitOffset(layout.unitOffset()), rowSumOffset(layout.rowSumOffset()),
        tileBytes(layout.tileBytes()), scaleLineBytes(layout.scaleLineBytes()),
        zeroLineBytes(layout.zeroLineBytes()), scale(layout.format.scale),
        zero(layout.format.zero), zeroBits(quant::zeroBits(layout.format)),
        codeZero(symmetricZero(layout.format.element)),
        scaleFactor(quant::numberUnit(layout.format.element)),
        rareScales(scaleFactor != 1 || (scale != quant::ScaleType::F16 &&
                                        scale != quant::ScaleType::F32 &&
                                        !layout.format.hasScaleFields())) {
    if (!layout.format.hasScaleFields())
      return;
    unitShift = std::countr_zero(
        static_cast<uint64_t>(quant::groupsPerScaleUnit(layout.format)));
    scaleBits = quant::scaleCodeBits(layout.format);
    signedScales = quant::hasSignedScales(layout.format);
  }

  int64_t blocks, blocksPerGroup, groupsPerBlock, scaleOffset, zeroOffset,
      unitOffset, rowSumOffset, tileBytes, scaleLineBytes, zeroLineBytes;
  quant::ScaleType scale;
  quant::ZeroType zero;
  int zeroBits, codeZero;
  /// What scales are multiplied by, and whether that, or their type, is one of
  /// those that have no kernels of their own.
  float scaleFactor;
  bool rareScales;
  /// With two levels of scales: a group's unit is group >> unitShift.
  int unitShift = 0;
  int scaleBits = 0; ///< 0: one level
  bool signedScales = false;
};

/// 16 values of a float type as f32; `part` chooses the vector.
template <quant::ElementType type>
HWY_INLINE FloatVector loadLine(const void *line, int64_t part) {
  const FloatTag d;
  if constexpr (type == quant::ElementType::F32) {
    return hn::LoadU(d, static_cast<const float *>(line) + part * lineLanes);
  } else if constexpr (type == quant::ElementType::F16) {
    const hn::Rebind<hwy::float16_t, FloatTag> dh;
    return hn::PromoteTo(
        d, hn::LoadU(dh, static_cast<const hwy::float16_t *>(line) +
                             part * lineLanes));
  } else {
    const hn::Rebind<hwy::bfloat16_t, FloatTag> db;
    return hn::PromoteTo(
        d, hn::LoadU(db, static_cast<const hwy::bfloat16_t *>(line) +
                             part * lineLanes));
  }
}

/// y[row, n … n+count) for the last rows of a matrix, `count` of a vector. Not
/// inlined: every kernel has many copies of what stores its sums.
inline HWY_NOINLINE void storeLastRows(const LinearArguments &a, int64_t row,
                                       int64_t n, int64_t count,
                                       FloatVector sums) {
  const FloatTag d;
  if (a.bias)
    sums = hn::Add(sums, loadPartial(d, a.bias + n, count));
  if (a.residual)
    sums = hn::Add(
        sums, loadPartial(d, a.residual + row * a.residualStride + n, count));
  storePartial(sums, d, a.output + row * a.outputStride + n, count);
}

/// y[row, 16·tile …] = sums + bias + residual, for the rows that exist.
HWY_INLINE void storeTileRow(const LinearArguments &a, int64_t row,
                             int64_t tile, FloatVector *sums) {
  const FloatTag d;
  for (int64_t part = 0; part < lineVectors; ++part) {
    const int64_t n = tile * tileRows + part * lineLanes;
    const int64_t count = HWY_MIN(lineLanes, a.layout.rows - n);
    if (count <= 0)
      return;
    FloatVector v = sums[part];
    if (count < lineLanes) {
      storeLastRows(a, row, n, count, v);
      return;
    }
    if (a.bias)
      v = hn::Add(v, hn::LoadU(d, a.bias + n));
    if (a.residual)
      v = hn::Add(v, hn::LoadU(d, a.residual + row * a.residualStride + n));
    hn::StoreU(v, d, a.output + row * a.outputStride + n);
  }
}

} // namespace qopt::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // per-target guard
