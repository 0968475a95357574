// int8 activations × integer weights, by four-way dot products on lines of 16
// rows. One block of 32 columns is an exact int32 sum; blocks are added in f32.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/LinearKernels.h"
#include "runtime/host/QuantizedActivations.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/host/LinearInteger.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include "runtime/host/CodeLines-inl.h"
#include "runtime/host/DotProduct-inl.h"
#include "runtime/host/ScaleLines-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qopt::host::HWY_NAMESPACE {

using quant::ElementType;
using quant::ZeroType;

/// Rows of x that share one pass over the weight.
constexpr int64_t maxRows = lineVectors == 1 ? 4 : 2;

/// Tiles that a single row of x runs through together.
constexpr int64_t sideBySide = lineVectors == 1 ? 4 : 2;
/// How far ahead of its use a weight is asked for: the processor's own
/// prefetcher stops at the ends of pages.
constexpr int64_t prefetchBytes = 1024;

/// The record of one row of x.
struct ActivationRow {
  const int8_t *codes;
  const float *scales;
  const int32_t *sums;
};

/// Dot products of one block with `count` rows of x: dots[row][part].
template <ElementType element, int64_t count>
HWY_INLINE void dotBlock(const NumberLines<element> &numbers,
                         const uint8_t *codes, const ActivationRow *x,
                         int64_t block, IntVector (&dots)[count][lineVectors]) {
  // A line's quads one after the other.
  constexpr int64_t lines = lowBits(codeBits(element)),
                    shared = quadsPerBlock / lines;
  HWY_UNROLL(8)
  for (int64_t i = 0; i < quadsPerBlock; ++i) {
    const int64_t quad = i % shared * lines + i / shared;
    for (int64_t part = 0; part < lineVectors; ++part) {
      const auto w = hn::BitCast(ByteTag(), numbers.load(codes, quad, part));
      for (int64_t m = 0; m < count; ++m) {
        const auto four =
            broadcastFour(x[m].codes + block * blockColumns + 4 * quad);
        IntVector &dot = dots[m][part];
        dot = numberBits(element) == 8 ? dotBytes(dot, w, four)
                                       : dotShort(dot, w, four);
      }
    }
  }
}

/// What `dotBlock` leaves of the zero points of one group.
template <ElementType element, ZeroType zero> struct ZeroLine {
  IntVector whole[lineVectors];
  FloatVector fraction[lineVectors];

  HWY_INLINE void load(const TileSizes &sizes, const uint8_t *tile,
                       int64_t group) {
    constexpr int offset = numberBits(element) == 8 ? byteOffset : 0;
    const IntTag di;
    const FloatTag d;
    for (int64_t part = 0; part < lineVectors; ++part) {
      if constexpr (zero == ZeroType::None) {
        whole[part] = hn::Set(di, symmetricZero(element) - offset);
      } else if constexpr (zero == ZeroType::U8) {
        whole[part] = hn::Sub(loadWholeZeros(sizes, tile, group, part),
                              hn::Set(di, offset));
      } else {
        fraction[part] = hn::Sub(loadZeros(sizes, tile, group, part),
                                 hn::Set(d, static_cast<float>(offset)));
      }
    }
  }

  /// Σ (c − zero)·x from Σ (c − offset)·x and Σ x.
  HWY_INLINE FloatVector apply(IntVector dot, int32_t sum, int64_t part) const {
    const FloatTag d;
    if constexpr (zero == ZeroType::Float)
      return hn::NegMulAdd(fraction[part], hn::Set(d, static_cast<float>(sum)),
                           hn::ConvertTo(d, dot));
    else
      return hn::ConvertTo(
          d, hn::Sub(dot, hn::Mul(whole[part], hn::Set(IntTag(), sum))));
  }
};

/// The scales and zero points of one group of one tile.
template <ElementType element, ZeroType zero> struct GroupLine {
  FloatVector scale[lineVectors];
  ZeroLine<element, zero> zeroLine;

  HWY_INLINE void load(const TileSizes &sizes, const uint8_t *tile,
                       int64_t group) {
    for (int64_t part = 0; part < lineVectors; ++part)
      scale[part] = loadScales(sizes, tile, group, part);
    zeroLine.load(sizes, tile, group);
  }
};

/// Adds one block of one tile to the sums of `count` rows of x.
template <ElementType element, ZeroType zero, int64_t count>
HWY_INLINE void addBlock(const NumberLines<element> &numbers,
                         const uint8_t *codes, const ActivationRow *x,
                         int64_t block, const GroupLine<element, zero> &group,
                         FloatVector (&sums)[count][lineVectors]) {
  const FloatTag d;
  IntVector dots[count][lineVectors];
  for (auto &line : dots)
    for (auto &v : line)
      v = hn::Zero(IntTag());
  dotBlock<element, count>(numbers, codes, x, block, dots);
  for (int64_t m = 0; m < count; ++m)
    for (int64_t part = 0; part < lineVectors; ++part)
      sums[m][part] = hn::MulAdd(
          group.zeroLine.apply(dots[m][part], x[m].sums[block], part),
          hn::Mul(group.scale[part], hn::Set(d, x[m].scales[block])),
          sums[m][part]);
}

/// `count` rows of x from `row` on times `tiles` tiles, side by side: several
/// streams come faster from memory than one.
template <ElementType element, ZeroType zero, int64_t count, int64_t tiles>
HWY_INLINE void multiplyTile(const LinearArguments &a, const TileSizes &sizes,
                             int64_t row, int64_t tile) {
  const QuantizedLayout record{a.layout.columns};
  ActivationRow x[count];
  for (int64_t m = 0; m < count; ++m) {
    const uint8_t *start = static_cast<const uint8_t *>(a.quantized) +
                           (row + m) * record.rowBytes();
    x[m] = {reinterpret_cast<const int8_t *>(start),
            reinterpret_cast<const float *>(start + record.scaleOffset()),
            reinterpret_cast<const int32_t *>(start + record.sumOffset())};
  }
  const uint8_t *first =
      static_cast<const uint8_t *>(a.weight) + tile * sizes.tileBytes;

  FloatVector sums[tiles][count][lineVectors];
  for (auto &tileSums : sums)
    for (auto &line : tileSums)
      for (auto &v : line)
        v = hn::Zero(FloatTag());
  const NumberLines<element> numbers(a.layout, a.weight);
  GroupLine<element, zero> groups[tiles];
  for (int64_t block = 0, group = 0; block < sizes.blocks; ++group) {
    for (int64_t t = 0; t < tiles; ++t)
      groups[t].load(sizes, first + t * sizes.tileBytes, group);
    const int64_t end = HWY_MIN(block + sizes.blocksPerGroup, sizes.blocks);
    for (; block < end; ++block)
      for (int64_t t = 0; t < tiles; ++t) {
        constexpr int64_t bytes = blockBytes(element);
        const uint8_t *codes = first + t * sizes.tileBytes + block * bytes;
        for (int64_t i = 0; i < bytes; i += lineBytes)
          __builtin_prefetch(codes + prefetchBytes + i);
        addBlock<element, zero, count>(numbers, codes, x, block, groups[t],
                                       sums[t]);
      }
  }
  for (int64_t t = 0; t < tiles; ++t)
    for (int64_t m = 0; m < count; ++m)
      storeTileRow(a, row + m, tile + t, sums[t][m]);
}

template <ElementType element, ZeroType zero>
void multiplyTiles(const LinearArguments &a, int64_t begin, int64_t end) {
  const TileSizes sizes(a.layout);
  int64_t tile = begin;
  if (a.rows == 1)
    for (; tile + sideBySide <= end; tile += sideBySide)
      multiplyTile<element, zero, 1, sideBySide>(a, sizes, 0, tile);
  for (; tile < end; ++tile) {
    int64_t row = 0;
    for (; row + maxRows <= a.rows; row += maxRows)
      multiplyTile<element, zero, maxRows, 1>(a, sizes, row, tile);
    for (; row < a.rows; ++row)
      multiplyTile<element, zero, 1, 1>(a, sizes, row, tile);
  }
}

template <ElementType element> LinearBody chooseByZero(ZeroType zero) {
  switch (zero) {
  case ZeroType::None:
    return multiplyTiles<element, ZeroType::None>;
  case ZeroType::U8:
    return multiplyTiles<element, ZeroType::U8>;
  case ZeroType::Float:
    return multiplyTiles<element, ZeroType::Float>;
  }
  return nullptr;
}

LinearBody chooseInteger(const quant::Format &format) {
  switch (format.element) {
  case ElementType::Int4:
    return chooseByZero<ElementType::Int4>(format.zero);
  case ElementType::Int6:
    return chooseByZero<ElementType::Int6>(format.zero);
  case ElementType::Int5:
    return chooseByZero<ElementType::Int5>(format.zero);
  case ElementType::Int3:
    return chooseByZero<ElementType::Int3>(format.zero);
  case ElementType::Int2:
    return chooseByZero<ElementType::Int2>(format.zero);
  case ElementType::Lut4:
  case ElementType::Fp4E2m1:
    return multiplyTiles<ElementType::Lut4, ZeroType::None>;
  case ElementType::Lut3:
    return multiplyTiles<ElementType::Lut3, ZeroType::None>;
  default:
    return chooseByZero<ElementType::Int8>(format.zero);
  }
}

} // namespace qopt::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qopt::host {

HWY_EXPORT(chooseInteger);

LinearBody integerLinear(const LinearArguments &arguments) {
  if (LinearBody tiles = integerTileLinear(arguments))
    return tiles;
  return HWY_DYNAMIC_DISPATCH(chooseInteger)(arguments.layout.format);
}

} // namespace qopt::host
#endif // HWY_ONCE
