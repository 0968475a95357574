// int8 activations × integer weights through AMX tiles, for many rows of x. A
// tile of the weight is unpacked into signed bytes once and then used for all
// rows; 16 rows of x, 16 rows of the weight and one block of 32 columns are one
// tile product. Its int32 sums go through memory to the vector unit, where they
// are scaled and added in the same order as LinearInteger.cpp does it, so the
// results are the same bits.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/Amx.h"
#include "runtime/host/LinearKernels.h"
#include "runtime/host/QuantizedActivations.h"
#include "runtime/host/Scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/host/LinearIntegerAmx.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include "runtime/host/CodeLines-inl.h"
#include "runtime/host/ScaleLines-inl.h"
// Last, because it extends the target.
#include "runtime/host/Amx-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qopt::host::HWY_NAMESPACE {
#if QOPT_HAVE_AMX

using quant::ElementType;
using quant::ZeroType;

/// Rows of x in a tile product.
constexpr int64_t amxRows = 16;
/// Bytes of x that are worked on at a time, to stay in the second-level cache.
constexpr int64_t chunkBytes = 1 << 20;

/// Products are issued this many blocks before their sums are used.
constexpr int64_t ahead = 2;

/// Tiles of the weight that share a pass over x, and blocks in such a pass:
/// panels of 4 × 16 × 512 bytes stay in the first-level cache.
constexpr int64_t panelTiles = 4;
constexpr int64_t spanBlocks = 32;

/// How the zero points enter.
enum class ZeroUse {
  Unpacked, ///< taken off the codes when they are unpacked
  Whole,    ///< int8: Σ (c − 128)·x − (zero − 128)·Σ x in int32
  Fraction, ///< shorter codes: Σ c·x − zero·Σ x in f32
};

/// One unpacked tile of the weight, [blocks] of each.
struct Panel {
  int8_t *codes;   ///< [block][8][16 rows × 4 columns]
  float *scales;   ///< [block][16]
  int32_t *wholes; ///< [block][16], with ZeroUse::Whole
  float *fractions;
};

/// The scales and sums of x, 16 rows side by side.
struct RowValues {
  float *scales; ///< [row / 16][block][16]
  int32_t *sums;
};

/// Codes of one block, less `zero` in every byte.
template <ElementType element>
HWY_INLINE void unpackBlock(const NumberLines<element> &numbers,
                            const uint8_t *lines, __m512i zero, int8_t *out) {
  HWY_UNROLL(8)
  for (int64_t quad = 0; quad < quadsPerBlock; ++quad)
    _mm512_store_si512(out + 64 * quad,
                       _mm512_sub_epi8(numbers.load(lines, quad, 0).raw, zero));
}

/// The zero point of 16 rows in all bytes of their lanes, or what makes the
/// codes signed where the zero points come later.
template <ElementType element, ZeroUse use>
HWY_INLINE __m512i zeroBytes(const LinearLayout &layout, __m512i zeros) {
  if constexpr (use == ZeroUse::Fraction)
    return _mm512_setzero_si512();
  if (use == ZeroUse::Whole || layout.format.isSymmetric())
    return _mm512_set1_epi8(static_cast<char>(symmetricZero(element)));
  return _mm512_mullo_epi32(zeros, _mm512_set1_epi32(0x01010101));
}

template <ElementType element, ZeroUse use>
HWY_INLINE void unpackPanel(const LinearLayout &layout,
                            const NumberLines<element> &numbers,
                            const uint8_t *tile, const Panel &panel) {
  const FloatTag d;
  const TileSizes sizes(layout);
  for (int64_t block = 0, group = 0; block < sizes.blocks; ++group) {
    const auto scale = loadScales(sizes, tile, group, 0);
    __m512i zero = _mm512_setzero_si512();
    if (sizes.zero == ZeroType::U8)
      zero = loadWholeZeros(sizes, tile, group, 0).raw;
    const __m512i bytes = zeroBytes<element, use>(layout, zero);
    const int64_t end = HWY_MIN(block + sizes.blocksPerGroup, sizes.blocks);
    for (; block < end; ++block) {
      unpackBlock<element>(numbers, tile + block * blockBytes(element), bytes,
                           panel.codes + block * blockColumns * tileRows);
      hn::Store(scale, d, panel.scales + block * tileRows);
      if constexpr (use == ZeroUse::Whole)
        _mm512_store_si512(panel.wholes + block * tileRows,
                           _mm512_sub_epi32(zero, _mm512_set1_epi32(128)));
      if constexpr (use == ZeroUse::Fraction)
        hn::Store(loadZeros(sizes, tile, group, 0), d,
                  panel.fractions + block * tileRows);
    }
  }
}

/// One product into `out` [16][16]; the tile registers first … first + 2 hold
/// sums, x and the weight.
template <int first>
HWY_INLINE void multiplyBlock(const uint8_t *x, int64_t xStride,
                              const int8_t *codes, int32_t *out) {
  _tile_loadd(first + 1, x, xStride);
  _tile_loadd(first + 2, codes, 64);
  _tile_zero(first);
  _tile_dpbssd(first, first + 1, first + 2);
  _tile_stored(first, out, 64);
}

/// sums[row] += f32 of one product, scaled.
template <ZeroUse use>
HWY_INLINE void addProduct(const int32_t *product, const Panel &panel,
                           const float *rowScales, const int32_t *rowSums,
                           int64_t block, __m512 (&sums)[amxRows]) {
  const __m512 scale = _mm512_load_ps(panel.scales + block * tileRows);
  for (int64_t m = 0; m < amxRows; ++m) {
    __m512i dot = _mm512_load_si512(product + 16 * m);
    if constexpr (use == ZeroUse::Whole)
      dot = _mm512_sub_epi32(
          dot,
          _mm512_mullo_epi32(_mm512_load_si512(panel.wholes + block * tileRows),
                             _mm512_set1_epi32(rowSums[m])));
    __m512 value = _mm512_cvtepi32_ps(dot);
    if constexpr (use == ZeroUse::Fraction)
      value = _mm512_fnmadd_ps(
          _mm512_load_ps(panel.fractions + block * tileRows),
          _mm512_set1_ps(static_cast<float>(rowSums[m])), value);
    sums[m] = _mm512_fmadd_ps(
        value, _mm512_mul_ps(scale, _mm512_set1_ps(rowScales[m])), sums[m]);
  }
}

/// 16 rows of x (or fewer, at the end) and one panel.
struct Product {
  const uint8_t *x; ///< first record
  int64_t xStride;
  int64_t rows;
  const float *rowScales; ///< [block][16]
  const int32_t *rowSums;
  const Panel *panel;
  float *sums; ///< [16][16], between two spans of blocks
};

/// Adds the blocks [begin, end) to the sums, which start at 0 in block 0.
template <ZeroUse use>
HWY_INLINE void multiplySpan(const Product &p, int64_t begin, int64_t end) {
  alignas(64) int32_t products[2 * ahead][amxRows * tileRows];
  if (p.rows < amxRows)
    std::memset(products, 0, sizeof(products));
  auto multiply = [&](int64_t b) HWY_ATTR {
    const uint8_t *x = p.x + b * blockColumns;
    const int8_t *codes = p.panel->codes + b * blockColumns * tileRows;
    int32_t *out = products[b % (2 * ahead)];
    if (b % 2)
      multiplyBlock<3>(x, p.xStride, codes, out);
    else
      multiplyBlock<0>(x, p.xStride, codes, out);
  };
  __m512 sums[amxRows];
  for (int64_t m = 0; m < amxRows; ++m)
    sums[m] =
        begin ? _mm512_load_ps(p.sums + m * tileRows) : _mm512_setzero_ps();
  for (int64_t b = begin; b < HWY_MIN(begin + ahead, end); ++b)
    multiply(b);
  for (int64_t b = begin; b < end; ++b) {
    if (b + ahead < end)
      multiply(b + ahead);
    addProduct<use>(products[b % (2 * ahead)], *p.panel,
                    p.rowScales + b * amxRows, p.rowSums + b * amxRows, b,
                    sums);
  }
  for (int64_t m = 0; m < amxRows; ++m)
    _mm512_store_ps(p.sums + m * tileRows, sums[m]);
}

/// Scales and sums of the rows [row, end) of x, transposed by 16.
HWY_INLINE void gatherRowValues(const LinearArguments &a, int64_t row,
                                int64_t end, const RowValues &values) {
  const QuantizedLayout record{a.layout.columns};
  const int64_t blocks = record.blocks();
  for (int64_t m = row; m < end; ++m) {
    const uint8_t *start =
        static_cast<const uint8_t *>(a.quantized) + m * record.rowBytes();
    const float *scales =
        reinterpret_cast<const float *>(start + record.scaleOffset());
    const int32_t *sums =
        reinterpret_cast<const int32_t *>(start + record.sumOffset());
    const int64_t at =
        (m - row) / amxRows * amxRows * blocks + (m - row) % amxRows;
    for (int64_t b = 0; b < blocks; ++b) {
      values.scales[at + b * amxRows] = scales[b];
      values.sums[at + b * amxRows] = sums[b];
    }
  }
}

HWY_INLINE void configure(int64_t rows) {
  TileShapes shapes;
  for (int first : {0, 3}) {
    shapes.set(first, rows, 64);
    shapes.set(first + 1, rows, blockColumns);
    shapes.set(first + 2, blockColumns / 4, 64);
  }
  _tile_loadconfig(&shapes);
}

/// Working memory of one thread.
struct Workspace {
  Panel panels[panelTiles];
  RowValues values;
  float *sums; ///< [row / 16][tile][16][16]
};

HWY_INLINE Workspace divideScratch(int64_t blocks, int64_t chunkRows) {
  const int64_t line = blocks * tileRows * 4; // one f32 a block and row
  const int64_t codes = blocks * blockColumns * tileRows;
  uint8_t *at = static_cast<uint8_t *>(
      threadScratch(panelTiles * (codes + 3 * line) + chunkRows * blocks * 8 +
                    chunkRows * panelTiles * tileRows * 4));
  auto take = [&](int64_t bytes) {
    at += bytes;
    return at - bytes;
  };
  Workspace work;
  for (Panel &panel : work.panels) {
    panel.codes = reinterpret_cast<int8_t *>(take(codes));
    panel.scales = reinterpret_cast<float *>(take(line));
    panel.wholes = reinterpret_cast<int32_t *>(take(line));
    panel.fractions = reinterpret_cast<float *>(take(line));
  }
  work.values.scales = reinterpret_cast<float *>(take(chunkRows * blocks * 4));
  work.values.sums = reinterpret_cast<int32_t *>(take(chunkRows * blocks * 4));
  work.sums = reinterpret_cast<float *>(at);
  return work;
}

/// Rows [chunk, chunkEnd) of x times `count` unpacked tiles from `tile` on, one
/// span of blocks after the other, so that a span of the panels stays in the
/// first-level cache while all rows pass.
template <ZeroUse use>
HWY_INLINE void multiplyPanels(const LinearArguments &a, const Workspace &work,
                               int64_t chunk, int64_t chunkEnd, int64_t tile,
                               int64_t count) {
  const QuantizedLayout record{a.layout.columns};
  const int64_t blocks = record.blocks(), stride = record.rowBytes();
  const int64_t fullEnd = chunkEnd - (chunkEnd - chunk) % amxRows;
  for (int64_t from = 0; from < blocks; from += spanBlocks) {
    const int64_t end = HWY_MIN(from + spanBlocks, blocks);
    for (int64_t row = chunk; row < chunkEnd; row += amxRows) {
      if (row == chunk || row == fullEnd)
        configure(HWY_MIN(amxRows, chunkEnd - row));
      const int64_t at = row - chunk;
      Product product;
      product.x = static_cast<const uint8_t *>(a.quantized) + row * stride;
      product.xStride = stride;
      product.rows = HWY_MIN(amxRows, chunkEnd - row);
      product.rowScales = work.values.scales + at * blocks;
      product.rowSums = work.values.sums + at * blocks;
      for (int64_t t = 0; t < count; ++t) {
        product.panel = &work.panels[t];
        product.sums = work.sums + (at * panelTiles + t * amxRows) * tileRows;
        multiplySpan<use>(product, from, end);
      }
      if (end < blocks)
        continue;
      for (int64_t m = 0; m < product.rows; ++m)
        for (int64_t t = 0; t < count; ++t) {
          const float *sums =
              work.sums + (at * panelTiles + t * amxRows + m) * tileRows;
          FloatVector line = hn::Load(FloatTag(), sums);
          storeTileRow(a, row + m, tile + t, &line);
        }
    }
  }
}

template <ElementType element, ZeroUse use>
void multiplyAmx(const LinearArguments &a, int64_t begin, int64_t end) {
  const LinearLayout &layout = a.layout;
  const int64_t rowBytes = QuantizedLayout{layout.columns}.rowBytes();
  const int64_t chunkRows =
      HWY_MIN(HWY_MAX(chunkBytes / rowBytes, amxRows), a.rows + amxRows - 1) /
      amxRows * amxRows;
  const Workspace work = divideScratch(layout.blocks(), chunkRows);
  const NumberLines<element> numbers(layout, a.weight);
  const uint8_t *weight = static_cast<const uint8_t *>(a.weight);
  for (int64_t chunk = 0; chunk < a.rows; chunk += chunkRows) {
    const int64_t chunkEnd = HWY_MIN(chunk + chunkRows, a.rows);
    gatherRowValues(a, chunk, chunkEnd, work.values);
    for (int64_t tile = begin; tile < end; tile += panelTiles) {
      const int64_t count = HWY_MIN(panelTiles, end - tile);
      for (int64_t t = 0; t < count; ++t)
        unpackPanel<element, use>(layout, numbers,
                                  weight + (tile + t) * layout.tileBytes(),
                                  work.panels[t]);
      multiplyPanels<use>(a, work, chunk, chunkEnd, tile, count);
    }
  }
  _tile_release();
}

template <ElementType element> LinearBody chooseShortCodes(ZeroType zero) {
  return zero == ZeroType::Float ? multiplyAmx<element, ZeroUse::Fraction>
                                 : multiplyAmx<element, ZeroUse::Unpacked>;
}

LinearBody chooseAmx(const quant::Format &format) {
  switch (format.element) {
  case ElementType::Int4:
    return chooseShortCodes<ElementType::Int4>(format.zero);
  case ElementType::Int6:
    return chooseShortCodes<ElementType::Int6>(format.zero);
  case ElementType::Int5:
    return chooseShortCodes<ElementType::Int5>(format.zero);
  case ElementType::Int3:
    return chooseShortCodes<ElementType::Int3>(format.zero);
  case ElementType::Int2:
    return chooseShortCodes<ElementType::Int2>(format.zero);
  case ElementType::Lut4:
  case ElementType::Fp4E2m1:
    return multiplyAmx<ElementType::Lut4, ZeroUse::Unpacked>;
  case ElementType::Lut3:
    return multiplyAmx<ElementType::Lut3, ZeroUse::Unpacked>;
  default:
    break;
  }
  switch (format.zero) {
  case ZeroType::None:
    return multiplyAmx<ElementType::Int8, ZeroUse::Unpacked>;
  case ZeroType::U8:
    return multiplyAmx<ElementType::Int8, ZeroUse::Whole>;
  case ZeroType::Float:
    return nullptr;
  }
  return nullptr;
}

#else
LinearBody chooseAmx(const quant::Format &) { return nullptr; }
#endif // QOPT_HAVE_AMX
} // namespace qopt::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qopt::host {

HWY_EXPORT(chooseAmx);

/// Fewer rows do not pay for unpacking the weight.
constexpr int64_t leastAmxRows = 8;

LinearBody integerTileLinear(const LinearArguments &arguments) {
  if (arguments.rows < leastAmxRows || !amxAvailable())
    return nullptr;
  return HWY_DYNAMIC_DISPATCH(chooseAmx)(arguments.layout.format);
}

} // namespace qopt::host
#endif // HWY_ONCE
