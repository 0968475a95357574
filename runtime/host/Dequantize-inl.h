// Weights with scales as f32: blocks of a packed tile into lines of 16 rows,
// one line for each column, W = scale · (code − zero).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/CodeLines-inl.h"
#include "runtime/host/ScaleLines-inl.h"

#if defined(QOPT_RUNTIME_HOST_DEQUANTIZE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef QOPT_RUNTIME_HOST_DEQUANTIZE_INL_H
#undef QOPT_RUNTIME_HOST_DEQUANTIZE_INL_H
#else
#define QOPT_RUNTIME_HOST_DEQUANTIZE_INL_H
#endif

HWY_BEFORE_NAMESPACE();
namespace qopt::host::HWY_NAMESPACE {

/// Lane by lane scale · (code − zero); `word` has the code in its lowest byte.
template <quant::ElementType element>
HWY_INLINE FloatVector dequantized(const NumberLines<element> &numbers,
                                   Words word, FloatVector scale,
                                   FloatVector zero) {
  if constexpr (element == quant::ElementType::Fp8E4m3)
    return hn::Mul(scale, numbers.fp8Values(word));
#if QOPT_FLOAT_TABLES
  if constexpr (numberBits(element) <= 4)
    return hn::Mul(scale,
                   hn::Sub(numbers.tableValues(word, /*centre=*/false), zero));
#endif
  const hn::RebindToUnsigned<FloatTag> du;
  const hn::RebindToSigned<FloatTag> di;
  const auto code = hn::And(word, hn::Set(du, 255));
  return hn::Mul(
      scale, hn::Sub(hn::ConvertTo(FloatTag(), hn::BitCast(di, code)), zero));
}

/// Scales and zero points of one group in `tiles` tiles.
template <int64_t tiles> struct GroupLines {
  FloatVector scale[tiles][lineVectors], zero[tiles][lineVectors];

  HWY_INLINE void load(const TileSizes &sizes, const uint8_t *tile,
                       int64_t group) {
    for (int64_t t = 0; t < tiles; ++t, tile += sizes.tileBytes)
      for (int64_t part = 0; part < lineVectors; ++part) {
        scale[t][part] = loadScales(sizes, tile, group, part);
        zero[t][part] = loadZeros(sizes, tile, group, part);
      }
  }
};

/// Whether a block's second group of 16 columns begins with a quad.
HWY_INLINE bool beginsGroup(const TileSizes &sizes, int64_t quad) {
  return quad == quadsPerBlock / 2 && sizes.groupsPerBlock == 2;
}

/// One block of codes into lines of f32; `groupOf` has the lines of a quad's
/// group.
template <quant::ElementType element, typename GroupOf>
HWY_INLINE void dequantizeBlock(const NumberLines<element> &numbers,
                                const uint8_t *codes, const GroupOf &groupOf,
                                float *out) {
  HWY_UNROLL(8)
  for (int64_t quad = 0; quad < quadsPerBlock; ++quad) {
    const GroupLines<1> &lines = groupOf(quad);
    for (int64_t part = 0; part < lineVectors; ++part) {
      Words word = numbers.load(codes, quad, part);
      for (int64_t i = 0; i < 4; ++i) {
        hn::StoreU(dequantized<element>(numbers, word, lines.scale[0][part],
                                        lines.zero[0][part]),
                   FloatTag(),
                   out + (4 * quad + i) * tileRows + part * lineLanes);
        word = hn::ShiftRight<8>(word);
      }
    }
  }
}

template <quant::ElementType element>
HWY_INLINE void dequantizeBlocksOf(const LinearLayout &layout,
                                   const void *weight, const uint8_t *tile,
                                   int64_t begin, int64_t end, float *out) {
  const TileSizes sizes(layout);
  const NumberLines<element> numbers(layout, weight);
  for (int64_t block = begin; block < end; ++block) {
    const int64_t group = block / sizes.blocksPerGroup * sizes.groupsPerBlock;
    GroupLines<1> lines;
    lines.load(sizes, tile, group);
    auto groupOf = [&](int64_t quad) HWY_ATTR -> const GroupLines<1> & {
      if (beginsGroup(sizes, quad))
        lines.load(sizes, tile, group + 1);
      return lines;
    };
    dequantizeBlock<element>(numbers, tile + block * blockBytes(element),
                             groupOf,
                             out + (block - begin) * blockColumns * tileRows);
  }
}

#if !QOPT_FLOAT_TABLES
/// The same for nf4, whose numbers are no integers: short code, for it has no
/// other use.
HWY_NOINLINE inline void dequantizeNf4(const LinearLayout &layout,
                                       const uint8_t *tile, int64_t begin,
                                       int64_t end, float *out) {
  const FloatTag d;
  const hn::RebindToUnsigned<FloatTag> du;
  const TileSizes sizes(layout);
  for (int64_t quad = begin * quadsPerBlock; quad < end * quadsPerBlock;
       ++quad) {
    const int64_t block = quad / quadsPerBlock;
    const int64_t group = block / sizes.blocksPerGroup * sizes.groupsPerBlock +
                          (sizes.groupsPerBlock == 2 &&
                           quad % quadsPerBlock >= quadsPerBlock / 2);
    for (int64_t part = 0; part < lineVectors; ++part) {
      const auto scale = loadScales(sizes, tile, group, part);
      Words word =
          planeBits<4>(tile + block * blockBytes(quant::ElementType::Nf4),
                       quad % quadsPerBlock, part, 0);
      for (int64_t i = 0; i < 4; ++i) {
        const auto index = hn::BitCast(hn::RebindToSigned<FloatTag>(),
                                       hn::And(word, hn::Set(du, 15)));
        hn::StoreU(hn::Mul(scale, hn::GatherIndex(d, quant::nf4Element.numbers,
                                                  index)),
                   d, out + part * lineLanes);
        out += tileRows;
        word = hn::ShiftRight<8>(word);
      }
      out -= 4 * tileRows;
    }
    out += 4 * tileRows;
  }
}
#endif

/// The blocks [begin, end) of a tile of `weight` into lines of f32, the columns
/// that fill the last block included.
HWY_INLINE void dequantizeBlocks(const LinearLayout &layout, const void *weight,
                                 const uint8_t *tile, int64_t begin,
                                 int64_t end, float *out) {
  using quant::ElementType;
  switch (layout.format.element) {
  case ElementType::Int8:
    return dequantizeBlocksOf<ElementType::Int8>(layout, weight, tile, begin,
                                                 end, out);
#if !QOPT_FLOAT_TABLES
  case ElementType::Nf4:
    return dequantizeNf4(layout, tile, begin, end, out);
#else
  case ElementType::Nf4:
#endif
  case ElementType::Int4:
    return dequantizeBlocksOf<ElementType::Int4>(layout, weight, tile, begin,
                                                 end, out);
  case ElementType::Int6:
    return dequantizeBlocksOf<ElementType::Int6>(layout, weight, tile, begin,
                                                 end, out);
  case ElementType::Int5:
    return dequantizeBlocksOf<ElementType::Int5>(layout, weight, tile, begin,
                                                 end, out);
  case ElementType::Int3:
    return dequantizeBlocksOf<ElementType::Int3>(layout, weight, tile, begin,
                                                 end, out);
  case ElementType::Int2:
    return dequantizeBlocksOf<ElementType::Int2>(layout, weight, tile, begin,
                                                 end, out);
  case ElementType::Fp8E4m3:
  case ElementType::Fp8E5m2:
    return dequantizeBlocksOf<ElementType::Fp8E4m3>(layout, weight, tile, begin,
                                                    end, out);
  case ElementType::Lut4:
  case ElementType::Fp4E2m1:
    return dequantizeBlocksOf<ElementType::Lut4>(layout, weight, tile, begin,
                                                 end, out);
  case ElementType::Lut3:
    return dequantizeBlocksOf<ElementType::Lut3>(layout, weight, tile, begin,
                                                 end, out);
  default:
    return; // a float type has no codes
  }
}

} // namespace qopt::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // per-target guard
