// f32 activations × weights with scales: a tile is dequantized into lines of
// f32, W = scale · (code − zero), and multiplied like a tile of f32; for a row
// or two that happens in registers.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/LinearKernels.h"
#include "runtime/host/Scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/host/LinearDequantizing.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include "runtime/host/Dequantize-inl.h"
#include "runtime/host/FloatTile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qopt::host::HWY_NAMESPACE {

using quant::ElementType;

/// Lane by lane the value of a code less its zero point; `word` has it in the
/// lowest byte. A number of up to four bits is one table look-up where there is
/// such.
template <ElementType element, bool symmetric>
HWY_INLINE FloatVector codeValue(const NumberLines<element> &numbers,
                                 Words word, FloatVector zero) {
  const FloatTag d;
  if constexpr (element == ElementType::Fp8E4m3)
    return numbers.fp8Values(word);
#if QOPT_FLOAT_TABLES
  if constexpr (numberBits(element) <= 4) {
    const FloatVector value = numbers.tableValues(word, symmetric);
    return symmetric ? value : hn::Sub(value, zero);
  }
#endif
  const hn::RebindToUnsigned<FloatTag> du;
  const hn::RebindToSigned<FloatTag> di;
  const auto code = hn::And(word, hn::Set(du, 255));
  return hn::Sub(hn::ConvertTo(d, hn::BitCast(di, code)), zero);
}

/// Tiles that one row of x runs through side by side: their sums are
/// independent chains of multiply-adds.
constexpr int64_t sideBySide = 4 / lineVectors > 0 ? 4 / lineVectors : 1;

/// Adds x · W for four columns of a block.
template <ElementType element, bool symmetric, int64_t tiles>
HWY_INLINE void addQuad(const NumberLines<element> &numbers,
                        const uint8_t *block, int64_t quad, int64_t tileBytes,
                        const float *x, const GroupLines<tiles> &group,
                        FloatVector (&sums)[tiles][lineVectors]) {
  const FloatTag d;
  for (int64_t t = 0; t < tiles; ++t)
    for (int64_t part = 0; part < lineVectors; ++part) {
      Words word = numbers.load(block + t * tileBytes, quad, part);
      for (int64_t i = 0; i < 4; ++i) {
        const auto value =
            codeValue<element, symmetric>(numbers, word, group.zero[t][part]);
        sums[t][part] =
            hn::MulAdd(hn::Set(d, x[4 * quad + i]),
                       hn::Mul(group.scale[t][part], value), sums[t][part]);
        word = hn::ShiftRight<8>(word);
      }
    }
}

/// One row of x times `tiles` tiles, straight from the codes; the same sums in
/// the same order as by way of dequantized lines. `x` is filled up with zeros
/// to whole blocks.
template <ElementType element, bool symmetric, int64_t tiles>
HWY_INLINE void multiplyCodes(const LinearArguments &a, const TileSizes &sizes,
                              const float *x, int64_t row, int64_t tile) {
  const int64_t tileBytes = sizes.tileBytes, blocks = sizes.blocks;
  const uint8_t *codes =
      static_cast<const uint8_t *>(a.weight) + tile * tileBytes;
  FloatVector sums[tiles][lineVectors];
  for (auto &line : sums)
    for (auto &v : line)
      v = hn::Zero(FloatTag());
  const int64_t perGroup = sizes.blocksPerGroup;
  const NumberLines<element> numbers(a.layout, a.weight);
  GroupLines<tiles> group;
  for (int64_t block = 0, index = 0; block < blocks; ++index) {
    group.load(sizes, codes, index);
    const int64_t end = HWY_MIN(block + perGroup, blocks);
    for (; block < end; ++block, x += blockColumns) {
      HWY_UNROLL(8)
      for (int64_t quad = 0; quad < quadsPerBlock; ++quad)
        addQuad<element, symmetric, tiles>(numbers,
                                           codes + block * blockBytes(element),
                                           quad, tileBytes, x, group, sums);
    }
  }
  for (int64_t t = 0; t < tiles; ++t)
    storeTileRow(a, row, tile + t, sums[t]);
}

template <ElementType element, bool symmetric>
void multiplyFewRows(const LinearArguments &a, int64_t begin, int64_t end) {
  const TileSizes sizes(a.layout);
  const int64_t padded = sizes.blocks * blockColumns;
  float *x = static_cast<float *>(threadScratch(padded * 4));
  for (int64_t row = 0; row < a.rows; ++row) {
    std::memcpy(x, a.input + row * a.inputStride, a.layout.columns * 4);
    std::memset(x + a.layout.columns, 0, (padded - a.layout.columns) * 4);
    int64_t tile = begin;
    for (; tile + sideBySide <= end; tile += sideBySide)
      multiplyCodes<element, symmetric, sideBySide>(a, sizes, x, row, tile);
    for (; tile < end; ++tile)
      multiplyCodes<element, symmetric, 1>(a, sizes, x, row, tile);
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
      dequantizeBlocks(layout, weight, weight + (tile + t) * layout.tileBytes(),
                       0, layout.blocks(), panel + t * lines);
    const uint8_t *bytes = reinterpret_cast<const uint8_t *>(panel);
    if (count == floatTiles)
      multiplyAllRows<ElementType::F32, floatTiles>(a, bytes, tileStride, tile);
    else
      for (int64_t t = 0; t < count; ++t)
        multiplyAllRows<ElementType::F32, 1>(a, bytes + t * tileStride,
                                             tileStride, tile + t);
  }
}

/// Up to so many rows go through the codes one by one.
constexpr int64_t fewRows = 2;

/// A constant zero point saves the subtraction where a look-up has it: of at
/// most four bits.
template <ElementType element> LinearBody chooseFewRows(bool symmetric) {
  static_assert(numberBits(element) <= 4);
  return symmetric ? multiplyFewRows<element, true>
                   : multiplyFewRows<element, false>;
}

LinearBody chooseDequantizing(const LinearArguments &a) {
  const bool symmetric = a.layout.format.isSymmetric();
  if (a.rows > fewRows || a.layout.groupsPerBlock() > 1)
    return multiplyDequantized;
  switch (a.layout.format.element) {
  case ElementType::Nf4:
    return QOPT_FLOAT_TABLES ? multiplyFewRows<ElementType::Int4, true>
                             : multiplyDequantized;
  case ElementType::Fp8E4m3:
  case ElementType::Fp8E5m2:
    return multiplyFewRows<ElementType::Fp8E4m3, true>;
  case ElementType::Lut4:
  case ElementType::Fp4E2m1:
    return multiplyFewRows<ElementType::Lut4, true>;
  case ElementType::Lut3:
    return multiplyFewRows<ElementType::Lut3, true>;
  case ElementType::Int4:
    return chooseFewRows<ElementType::Int4>(symmetric);
  case ElementType::Int6:
    return multiplyFewRows<ElementType::Int6, false>;
  case ElementType::Int5:
    return multiplyFewRows<ElementType::Int5, false>;
  case ElementType::Int3:
    return chooseFewRows<ElementType::Int3>(symmetric);
  case ElementType::Int2:
    return chooseFewRows<ElementType::Int2>(symmetric);
  default:
    return multiplyFewRows<ElementType::Int8, false>;
  }
}

} // namespace qopt::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qopt::host {

HWY_EXPORT(chooseDequantizing);

LinearBody dequantizingLinear(const LinearArguments &arguments) {
  if (LinearBody tiles = floatTileLinear(arguments))
    return tiles;
  return HWY_DYNAMIC_DISPATCH(chooseDequantizing)(arguments);
}

} // namespace qopt::host
#endif // HWY_ONCE
