// fp8 activations × fp8 weights, both with one scale a row: the numbers of the
// codes become f32, whose products are exact, and are summed over 128 columns
// before they are added to the rest. Scales come last.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/LinearKernels.h"
#include "runtime/host/Scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/host/LinearFp8.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include "runtime/host/Dequantize-inl.h"
#include "runtime/host/FloatTile-inl.h"
#include "runtime/host/RowScales-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qopt::host::HWY_NAMESPACE {

using quant::ElementType;

/// Columns whose products are summed by themselves.
constexpr int64_t partColumns = 128;
/// Rows of x that are f32 at a time, and rows that do not pay for a panel of
/// f32 lines.
constexpr int64_t chunkRows = 64;
constexpr int64_t fewRows = 2;
constexpr int64_t sideBySide = 4 / lineVectors > 0 ? 4 / lineVectors : 1;

/// The numbers of a row of x, whole blocks of them.
HWY_INLINE void decodeRow(const uint8_t *codes, int64_t count, float *out) {
  const FloatTag d;
  const hn::Rebind<uint8_t, FloatTag> d8;
  const hn::RebindToUnsigned<FloatTag> du;
  for (int64_t k = 0; k < count; k += lineLanes)
    hn::StoreU(e4m3Values(hn::PromoteTo(du, hn::LoadU(d8, codes + k))), d,
               out + k);
}

/// The numbers of a tile of the weight as lines of f32.
HWY_INLINE void decodeTile(const uint8_t *codes, int64_t blocks, float *out) {
  GroupLines<1> one;
  for (auto &v : one.scale[0])
    v = hn::Set(FloatTag(), 1.0f);
  auto groupOf = [&](int64_t) HWY_ATTR -> const GroupLines<1> & { return one; };
  const NumberLines<ElementType::Fp8E4m3> numbers(LinearLayout(), nullptr);
  for (int64_t block = 0; block < blocks; ++block)
    dequantizeBlock<ElementType::Fp8E4m3>(
        numbers, codes + block * blockBytes(ElementType::Fp8E4m3), groupOf,
        out + block * blockColumns * tileRows);
}

template <int64_t rows, int64_t vectors> struct Sums {
  FloatVector total[rows][vectors], part[rows][vectors];

  HWY_INLINE void clear() {
    for (int64_t m = 0; m < rows; ++m)
      for (int64_t i = 0; i < vectors; ++i)
        total[m][i] = part[m][i] = hn::Zero(FloatTag());
  }
  HWY_INLINE void promote() {
    for (int64_t m = 0; m < rows; ++m)
      for (int64_t i = 0; i < vectors; ++i) {
        total[m][i] = hn::Add(total[m][i], part[m][i]);
        part[m][i] = hn::Zero(FloatTag());
      }
  }
};

/// Rows [row, row + rows) times a tile whose lines are f32; `x` are the rows'
/// numbers, `stride` apart.
template <int64_t rows>
HWY_INLINE void multiplyLinesOf(const LinearArguments &a,
                                const TileSizes &sizes, const RowRecords &r,
                                const float *lines, const float *x,
                                int64_t stride, int64_t row, int64_t tile) {
  Sums<rows, lineVectors> sums;
  sums.clear();
  for (int64_t k = 0; k < stride;) {
    for (const int64_t end = HWY_MIN(k + partColumns, stride); k < end; ++k)
      addLine<ElementType::F32, rows, 1>(
          reinterpret_cast<const uint8_t *>(lines + k * tileRows), 0, x + k,
          stride, sums.part);
    sums.promote();
  }
  for (int64_t m = 0; m < rows; ++m)
    storeScaledRow(a, sizes, r.scale(row + m), row + m, tile, sums.total[m]);
}

void multiplyPanels(const LinearArguments &a, int64_t begin, int64_t end) {
  const TileSizes sizes(a.layout);
  const RowRecords r(a);
  const int64_t columns = sizes.blocks * blockColumns;
  float *lines =
      static_cast<float *>(threadScratch((tileRows + chunkRows) * columns * 4));
  float *x = lines + tileRows * columns;
  for (int64_t chunk = 0; chunk < a.rows; chunk += chunkRows) {
    const int64_t count = HWY_MIN(chunkRows, a.rows - chunk);
    for (int64_t m = 0; m < count; ++m)
      decodeRow(r.codes(chunk + m), columns, x + m * columns);
    for (int64_t tile = begin; tile < end; ++tile) {
      decodeTile(static_cast<const uint8_t *>(a.weight) +
                     tile * sizes.tileBytes,
                 sizes.blocks, lines);
      int64_t m = 0;
      for (; m + floatRows <= count; m += floatRows)
        multiplyLinesOf<floatRows>(a, sizes, r, lines, x + m * columns, columns,
                                   chunk + m, tile);
      for (; m < count; ++m)
        multiplyLinesOf<1>(a, sizes, r, lines, x + m * columns, columns,
                           chunk + m, tile);
    }
  }
}

/// One row of x times `tiles` tiles, straight from the codes; the same sums in
/// the same order.
template <int64_t tiles>
HWY_INLINE void multiplyCodes(const LinearArguments &a, const TileSizes &sizes,
                              const RowRecords &r, const float *x, int64_t row,
                              int64_t tile) {
  const FloatTag d;
  const uint8_t *codes =
      static_cast<const uint8_t *>(a.weight) + tile * sizes.tileBytes;
  const NumberLines<ElementType::Fp8E4m3> numbers(LinearLayout(), nullptr);
  Sums<tiles, lineVectors> sums;
  sums.clear();
  constexpr int64_t partQuads = partColumns / 4;
  const int64_t quads = sizes.blocks * quadsPerBlock;
  for (int64_t quad = 0; quad < quads;) {
    for (const int64_t end = HWY_MIN(quad + partQuads, quads); quad < end;
         ++quad)
      for (int64_t t = 0; t < tiles; ++t)
        for (int64_t part = 0; part < lineVectors; ++part) {
          Words word = numbers.load(codes + t * sizes.tileBytes +
                                        quad / quadsPerBlock *
                                            blockBytes(ElementType::Fp8E4m3),
                                    quad % quadsPerBlock, part);
          for (int64_t i = 0; i < 4; ++i) {
            sums.part[t][part] =
                hn::MulAdd(hn::Set(d, x[4 * quad + i]), e4m3Values(word),
                           sums.part[t][part]);
            word = hn::ShiftRight<8>(word);
          }
        }
    sums.promote();
  }
  for (int64_t t = 0; t < tiles; ++t)
    storeScaledRow(a, sizes, r.scale(row), row, tile + t, sums.total[t]);
}

void multiplyFewRows(const LinearArguments &a, int64_t begin, int64_t end) {
  const TileSizes sizes(a.layout);
  const RowRecords r(a);
  const int64_t columns = sizes.blocks * blockColumns;
  float *x = static_cast<float *>(threadScratch(columns * 4));
  for (int64_t row = 0; row < a.rows; ++row) {
    decodeRow(r.codes(row), columns, x);
    int64_t tile = begin;
    for (; tile + sideBySide <= end; tile += sideBySide)
      multiplyCodes<sideBySide>(a, sizes, r, x, row, tile);
    for (; tile < end; ++tile)
      multiplyCodes<1>(a, sizes, r, x, row, tile);
  }
}

LinearBody chooseFp8Row(int64_t rows) {
  return rows <= fewRows ? multiplyFewRows : multiplyPanels;
}

} // namespace qopt::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qopt::host {

HWY_EXPORT(chooseFp8Row);

LinearBody fp8RowLinear(const LinearArguments &arguments) {
  return HWY_DYNAMIC_DISPATCH(chooseFp8Row)(arguments.rows);
}

} // namespace qopt::host
#endif // HWY_ONCE
