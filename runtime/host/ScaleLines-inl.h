// The scales and zero points of a packed tile as vectors: those of 16 rows in
// one group, in whichever way they are stored. The layout is drawn in
// LinearLayout.h.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/FieldPlaces.h"
#include "runtime/host/LinearTile-inl.h"

#if defined(QOPT_RUNTIME_HOST_SCALELINES_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef QOPT_RUNTIME_HOST_SCALELINES_INL_H
#undef QOPT_RUNTIME_HOST_SCALELINES_INL_H
#else
#define QOPT_RUNTIME_HOST_SCALELINES_INL_H
#endif

HWY_BEFORE_NAMESPACE();
namespace qopt::host::HWY_NAMESPACE {

using WholeVector = hn::Vec<hn::RebindToSigned<FloatTag>>;

/// Fields of `bits` bits of 16 rows; reads 16 bytes.
HWY_INLINE WholeVector loadFields(const uint8_t *fields, int bits,
                                  int64_t part) {
  const hn::RebindToUnsigned<FloatTag> du;
  const hn::Repartition<uint8_t, FloatTag> d8;
  const FieldPlaces &places = fieldPlaces[bits];
  const auto bytes =
      hn::TableLookupBytes(hn::LoadDup128(d8, fields),
                           hn::LoadU(d8, places.bytes + part * lineLanes * 4));
  const auto shifts = hn::LoadU(du, places.shifts + part * lineLanes);
  const auto mask = hn::Set(du, (1u << bits) - 1);
  return hn::BitCast(hn::RebindToSigned<FloatTag>(),
                     hn::And(hn::Shr(hn::BitCast(du, bytes), shifts), mask));
}

/// Numbers of f16 or f32, one for each group.
HWY_INLINE FloatVector loadUsualNumbers(const TileSizes &sizes,
                                        const uint8_t *lines, int64_t group,
                                        int64_t part) {
  return sizes.scale == quant::ScaleType::F16
             ? loadLine<quant::ElementType::F16>(lines + group * tileRows * 2,
                                                 part)
             : loadLine<quant::ElementType::F32>(lines + group * tileRows * 4,
                                                 part);
}

/// The numbers of e8m0 or e4m3 in bytes. NaN, which no scale is, would be 2^128
/// and 480.
HWY_INLINE FloatVector byteNumbers(hn::Vec<hn::RebindToUnsigned<FloatTag>> code,
                                   bool powers) {
  const FloatTag d;
  const hn::RebindToUnsigned<FloatTag> du;
  const auto least = hn::Set(du, 0x00400000); // 2^-127
  return powers ? hn::BitCast(d, hn::Max(hn::ShiftLeft<23>(code), least))
                : hn::Mul(hn::BitCast(d, hn::ShiftLeft<20>(code)),
                          hn::Set(d, 0x1p120f));
}

/// Numbers of the scale's type, whatever it is. Out of line, once for all
/// kernels: few weights have such scales.
HWY_NOINLINE inline FloatVector loadRareNumbers(const TileSizes &sizes,
                                                const uint8_t *lines,
                                                int64_t group, int64_t part) {
  const uint8_t *line = lines + group * sizes.scaleLineBytes;
  if (sizes.scale == quant::ScaleType::BF16)
    return loadLine<quant::ElementType::BF16>(line, part);
  const bool powers = sizes.scale == quant::ScaleType::E8m0;
  if (!powers && sizes.scale != quant::ScaleType::E4m3)
    return loadUsualNumbers(sizes, lines, group, part);
  const hn::Rebind<uint8_t, FloatTag> d8;
  return byteNumbers(hn::PromoteTo(hn::RebindToUnsigned<FloatTag>(),
                                   hn::LoadU(d8, line + part * lineLanes)),
                     powers);
}

/// The scales of one group of a tile that are f16, f32 or of two levels with
/// units in f16.
HWY_INLINE FloatVector loadUsualScales(const TileSizes &sizes,
                                       const uint8_t *tile, int64_t group,
                                       int64_t part) {
  const FloatTag d;
  const hn::RebindToSigned<FloatTag> di;
  if (!sizes.scaleBits)
    return loadUsualNumbers(sizes, tile + sizes.scaleOffset, group, part);
  auto code =
      loadFields(tile + sizes.scaleOffset + group * sizes.scaleLineBytes,
                 sizes.scaleBits, part);
  if (sizes.signedScales)
    code = hn::Sub(code, hn::Set(di, 1 << (sizes.scaleBits - 1)));
  const uint8_t *units = tile + sizes.unitOffset;
  return hn::Mul(loadLine<quant::ElementType::F16>(
                     units + (group >> sizes.unitShift) * tileRows * 2, part),
                 hn::ConvertTo(d, code));
}

/// The others, and those of numbers that have a unit.
HWY_NOINLINE inline FloatVector loadRareScales(const TileSizes &sizes,
                                               const uint8_t *tile,
                                               int64_t group, int64_t part) {
  FloatVector scale =
      sizes.scaleBits
          ? loadUsualScales(sizes, tile, group, part)
          : loadRareNumbers(sizes, tile + sizes.scaleOffset, group, part);
  if (sizes.scale == quant::ScaleType::E4m3)
    scale = hn::Mul(
        loadLine<quant::ElementType::F32>(tile + sizes.unitOffset, part),
        scale);
  return hn::Mul(scale, hn::Set(FloatTag(), sizes.scaleFactor));
}

/// The scales of one group of a tile: what its numbers are multiplied by.
HWY_INLINE FloatVector loadScales(const TileSizes &sizes, const uint8_t *tile,
                                  int64_t group, int64_t part) {
  return HWY_UNLIKELY(sizes.rareScales)
             ? loadRareScales(sizes, tile, group, part)
             : loadUsualScales(sizes, tile, group, part);
}

/// The zero points of one group of a tile that are codes.
HWY_INLINE WholeVector loadWholeZeros(const TileSizes &sizes,
                                      const uint8_t *tile, int64_t group,
                                      int64_t part) {
  const uint8_t *line = tile + sizes.zeroOffset + group * sizes.zeroLineBytes;
  if (sizes.zeroBits != 8)
    return loadFields(line, sizes.zeroBits, part);
  const hn::Rebind<uint8_t, FloatTag> d8;
  return hn::PromoteTo(hn::RebindToSigned<FloatTag>(),
                       hn::LoadU(d8, line + part * lineLanes));
}

/// The zero points of one group of a tile, of whatever kind.
HWY_INLINE FloatVector loadZeros(const TileSizes &sizes, const uint8_t *tile,
                                 int64_t group, int64_t part) {
  const FloatTag d;
  switch (sizes.zero) {
  case quant::ZeroType::U8:
    return hn::ConvertTo(d, loadWholeZeros(sizes, tile, group, part));
  case quant::ZeroType::Float:
    return HWY_UNLIKELY(sizes.rareScales)
               ? loadRareNumbers(sizes, tile + sizes.zeroOffset, group, part)
               : loadUsualNumbers(sizes, tile + sizes.zeroOffset, group, part);
  case quant::ZeroType::None:
    break;
  }
  return hn::Set(d, static_cast<float>(sizes.codeZero));
}

} // namespace qopt::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // per-target guard
