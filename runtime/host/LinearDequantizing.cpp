// f32 activations × integer weights: a tile is dequantized into lines of f32,
// W = scale · (code − zero), and multiplied like a tile of f32.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/LinearKernels.h"
#include "runtime/host/Scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/host/LinearDequantizing.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include "runtime/host/FloatTile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qopt::host::HWY_NAMESPACE {

using quant::ElementType;
using quant::ZeroType;

HWY_INLINE FloatVector loadZeros(const LinearLayout &layout,
                                 const uint8_t *zeros, int64_t group,
                                 int64_t part) {
  const FloatTag d;
  switch (layout.format.zero) {
  case ZeroType::U8: {
    const hn::RebindToSigned<FloatTag> di;
    const hn::Rebind<uint8_t, FloatTag> d8;
    const auto bytes =
        hn::LoadU(d8, zeros + group * tileRows + part * lineLanes);
    return hn::ConvertTo(d, hn::PromoteTo(di, bytes));
  }
  case ZeroType::Float:
    return loadScales(layout.format.scale, zeros, group, part);
  case ZeroType::None:
    break;
  }
  return hn::Set(d, layout.format.element == ElementType::Int4 ? 8.0f : 128.0f);
}

/// Four columns of one 64-byte line of codes; `shift` and `mask` choose bytes
/// or nibbles.
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

/// A whole tile into f32 lines, the columns up to whole blocks included.
void dequantizeTile(const LinearLayout &layout, const uint8_t *tile,
                    float *out) {
  const bool int4 = layout.format.element == ElementType::Int4;
  const int64_t blockBytes = blockColumns * tileRows / (int4 ? 2 : 1);
  for (int64_t block = 0; block < layout.blocks(); ++block) {
    const int64_t group = block / layout.blocksPerGroup();
    FloatVector scale[lineVectors], zero[lineVectors];
    for (int64_t part = 0; part < lineVectors; ++part) {
      scale[part] = loadScales(layout.format.scale, tile + layout.scaleOffset(),
                               group, part);
      zero[part] = loadZeros(layout, tile + layout.zeroOffset(), group, part);
    }
    const uint8_t *codes = tile + block * blockBytes;
    float *columns = out + block * blockColumns * tileRows;
    for (int64_t line = 0; line < blockBytes / 64; ++line) {
      float *four = columns + line * 4 * tileRows;
      if (int4) {
        dequantizeLine(codes + line * 64, 0, 15, scale, zero, four);
        dequantizeLine(codes + line * 64, 4, 15, scale, zero,
                       four + 16 * tileRows);
      } else {
        dequantizeLine(codes + line * 64, 0, 255, scale, zero, four);
      }
    }
  }
}

void multiplyDequantized(const LinearArguments &a, int64_t begin, int64_t end) {
  const LinearLayout &layout = a.layout;
  const int64_t lines = layout.blocks() * blockColumns * tileRows;
  const int64_t tileStride = lines * static_cast<int64_t>(sizeof(float));
  float *panel = static_cast<float *>(threadScratch(floatTiles * tileStride));
  const uint8_t *weight = static_cast<const uint8_t *>(a.weight);
  for (int64_t tile = begin; tile < end; tile += floatTiles) {
    const int64_t count = HWY_MIN(floatTiles, end - tile);
    for (int64_t t = 0; t < count; ++t)
      dequantizeTile(layout, weight + (tile + t) * layout.tileBytes(),
                     panel + t * lines);
    const uint8_t *bytes = reinterpret_cast<const uint8_t *>(panel);
    if (count == floatTiles)
      multiplyAllRows<ElementType::F32, floatTiles>(a, bytes, tileStride, tile);
    else
      for (int64_t t = 0; t < count; ++t)
        multiplyAllRows<ElementType::F32, 1>(a, bytes + t * tileStride,
                                             tileStride, tile + t);
  }
}

} // namespace qopt::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qopt::host {

HWY_EXPORT(multiplyDequantized);

LinearBody dequantizingLinear(const LinearArguments &) {
  return HWY_DYNAMIC_DISPATCH(multiplyDequantized);
}

} // namespace qopt::host
#endif // HWY_ONCE
