// Weights with scales as f32: blocks of a packed tile into lines of 16 rows,
// one line for each column, W = scale · (code − zero).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/LinearTile-inl.h"

#if defined(QOPT_RUNTIME_HOST_DEQUANTIZE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef QOPT_RUNTIME_HOST_DEQUANTIZE_INL_H
#undef QOPT_RUNTIME_HOST_DEQUANTIZE_INL_H
#else
#define QOPT_RUNTIME_HOST_DEQUANTIZE_INL_H
#endif

HWY_BEFORE_NAMESPACE();
namespace qopt::host::HWY_NAMESPACE {

HWY_INLINE FloatVector loadZeros(const LinearLayout &layout,
                                 const uint8_t *zeros, int64_t group,
                                 int64_t part) {
  const FloatTag d;
  switch (layout.format.zero) {
  case quant::ZeroType::U8: {
    const hn::RebindToSigned<FloatTag> di;
    const hn::Rebind<uint8_t, FloatTag> d8;
    const auto bytes =
        hn::LoadU(d8, zeros + group * tileRows + part * lineLanes);
    return hn::ConvertTo(d, hn::PromoteTo(di, bytes));
  }
  case quant::ZeroType::Float:
    return loadScales(layout.format.scale, zeros, group, part);
  case quant::ZeroType::None:
    break;
  }
  if (layout.format.element == quant::ElementType::Fp8E4m3)
    return hn::Zero(d);
  return hn::Set(d, layout.format.element == quant::ElementType::Int4 ? 8.0f
                                                                      : 128.0f);
}

using Words = hn::Vec<hn::RebindToUnsigned<FloatTag>>;

/// The values of the e4m3 codes in the lowest bytes. Moved to their places, the
/// bits are an f32 whose exponent is too small by 120; the product is exact for
/// subnormals too. NaN, which no weight has, would be 480.
HWY_INLINE FloatVector e4m3Values(Words word) {
  const FloatTag d;
  const hn::RebindToUnsigned<FloatTag> du;
  const auto sign = hn::ShiftLeft<24>(hn::And(word, hn::Set(du, 0x80)));
  const auto moved = hn::ShiftLeft<20>(hn::And(word, hn::Set(du, 0x7f)));
  const auto value = hn::Mul(hn::BitCast(d, moved), hn::Set(d, 0x1p120f));
  return hn::BitCast(d, hn::Or(hn::BitCast(du, value), sign));
}

/// Four columns of one 64-byte line of e4m3 codes.
HWY_INLINE void dequantizeE4m3Line(const uint8_t *line,
                                   const FloatVector *scale, float *out) {
  const FloatTag d;
  const hn::RebindToUnsigned<FloatTag> du;
  for (int64_t part = 0; part < lineVectors; ++part) {
    auto word = hn::LoadU(du, reinterpret_cast<const uint32_t *>(line) +
                                  part * lineLanes);
    for (int64_t i = 0; i < 4; ++i) {
      hn::StoreU(hn::Mul(scale[part], e4m3Values(word)), d,
                 out + i * tileRows + part * lineLanes);
      word = hn::ShiftRight<8>(word);
    }
  }
}

/// Four columns of one 64-byte line of integer codes; `shift` and `mask` choose
/// bytes or nibbles.
HWY_INLINE void dequantizeLine(const uint8_t *line, int shift, uint32_t mask,
                               const FloatVector *scale,
                               const FloatVector *zero, float *out) {
  const FloatTag d;
  const hn::RebindToUnsigned<FloatTag> du;
  const hn::RebindToSigned<FloatTag> di;
  for (int64_t part = 0; part < lineVectors; ++part) {
    auto word = hn::LoadU(du, reinterpret_cast<const uint32_t *>(line) +
                                  part * lineLanes);
    word = hn::ShiftRightSame(word, shift);
    for (int64_t i = 0; i < 4; ++i) {
      const auto code =
          hn::ConvertTo(d, hn::BitCast(di, hn::And(word, hn::Set(du, mask))));
      hn::StoreU(hn::Mul(scale[part], hn::Sub(code, zero[part])), d,
                 out + i * tileRows + part * lineLanes);
      word = hn::ShiftRight<8>(word);
    }
  }
}

/// The blocks [begin, end) of a tile into lines of f32, the columns that fill
/// the last block included.
HWY_INLINE void dequantizeBlocks(const LinearLayout &layout,
                                 const uint8_t *tile, int64_t begin,
                                 int64_t end, float *out) {
  const bool int4 = layout.format.element == quant::ElementType::Int4;
  const bool fp8 = layout.format.element == quant::ElementType::Fp8E4m3;
  const int64_t blockBytes = blockColumns * tileRows / (int4 ? 2 : 1);
  for (int64_t block = begin; block < end; ++block) {
    const int64_t group = block / layout.blocksPerGroup();
    FloatVector scale[lineVectors], zero[lineVectors];
    for (int64_t part = 0; part < lineVectors; ++part) {
      scale[part] = loadScales(layout.format.scale, tile + layout.scaleOffset(),
                               group, part);
      zero[part] = loadZeros(layout, tile + layout.zeroOffset(), group, part);
    }
    const uint8_t *codes = tile + block * blockBytes;
    float *columns = out + (block - begin) * blockColumns * tileRows;
    for (int64_t line = 0; line < blockBytes / 64; ++line) {
      float *four = columns + line * 4 * tileRows;
      if (int4) {
        dequantizeLine(codes + line * 64, 0, 15, scale, zero, four);
        dequantizeLine(codes + line * 64, 4, 15, scale, zero,
                       four + 16 * tileRows);
      } else if (fp8) {
        dequantizeE4m3Line(codes + line * 64, scale, four);
      } else {
        dequantizeLine(codes + line * 64, 0, 255, scale, zero, four);
      }
    }
  }
}

} // namespace qopt::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // per-target guard
