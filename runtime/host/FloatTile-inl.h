// The micro-kernel of f32 activations: some rows of x times some tiles, each
// tile a sequence of lines, one for each k. A sum has one accumulator and runs
// in the order of k, whatever the numbers of rows and tiles.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/LinearTile-inl.h"

#if defined(QOPT_RUNTIME_HOST_FLOATTILE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef QOPT_RUNTIME_HOST_FLOATTILE_INL_H
#undef QOPT_RUNTIME_HOST_FLOATTILE_INL_H
#else
#define QOPT_RUNTIME_HOST_FLOATTILE_INL_H
#endif

HWY_BEFORE_NAMESPACE();
namespace qopt::host::HWY_NAMESPACE {

/// Registers bound the product of rows, tiles and vectors of a line.
constexpr int64_t floatRows = lineVectors == 1 ? 6 : lineVectors == 2 ? 4 : 2;
constexpr int64_t floatTiles = lineVectors == 1 ? 4 : 1;

/// Adds x[0…rows) · line k to the sums, for all tiles. `tiles` are `tileStride`
/// bytes apart; x points to x[row 0, k].
template <quant::ElementType type, int64_t rows, int64_t tiles>
HWY_INLINE void addLine(const uint8_t *line, int64_t tileStride, const float *x,
                        int64_t stride,
                        FloatVector (&sums)[rows][tiles * lineVectors]) {
  const FloatTag d;
  FloatVector w[tiles * lineVectors];
  for (int64_t t = 0; t < tiles; ++t)
    for (int64_t part = 0; part < lineVectors; ++part)
      w[t * lineVectors + part] = loadLine<type>(line + t * tileStride, part);
  for (int64_t m = 0; m < rows; ++m) {
    const auto value = hn::Set(d, x[m * stride]);
    for (int64_t i = 0; i < tiles * lineVectors; ++i)
      sums[m][i] = hn::MulAdd(value, w[i], sums[m][i]);
  }
}

/// bf16: a line has the columns k and k+1 in the halves of 32 bits.
template <int64_t rows, int64_t tiles>
HWY_INLINE void addPairLine(const uint8_t *line, int64_t tileStride,
                            const float *x, int64_t stride, bool both,
                            FloatVector (&sums)[rows][tiles * lineVectors]) {
  const FloatTag d;
  const hn::RebindToUnsigned<FloatTag> du;
  FloatVector even[tiles * lineVectors], odd[tiles * lineVectors];
  for (int64_t t = 0; t < tiles; ++t)
    for (int64_t part = 0; part < lineVectors; ++part) {
      const auto pair = hn::LoadU(
          du, reinterpret_cast<const uint32_t *>(line + t * tileStride) +
                  part * lineLanes);
      const int64_t i = t * lineVectors + part;
      even[i] = hn::BitCast(d, hn::ShiftLeft<16>(pair));
      odd[i] = hn::BitCast(d, hn::And(pair, hn::Set(du, 0xffff0000u)));
    }
  for (int64_t m = 0; m < rows; ++m) {
    const auto first = hn::Set(d, x[m * stride]);
    for (int64_t i = 0; i < tiles * lineVectors; ++i)
      sums[m][i] = hn::MulAdd(first, even[i], sums[m][i]);
    if (!both)
      continue;
    const auto second = hn::Set(d, x[m * stride + 1]);
    for (int64_t i = 0; i < tiles * lineVectors; ++i)
      sums[m][i] = hn::MulAdd(second, odd[i], sums[m][i]);
  }
}

/// Rows [row, row + rows) of x times `tiles` packed tiles from `tile` on; the
/// lines of the first one begin at `lines`.
template <quant::ElementType type, int64_t rows, int64_t tiles>
HWY_INLINE void multiplyLines(const LinearArguments &a, const uint8_t *lines,
                              int64_t tileStride, int64_t row, int64_t tile) {
  const FloatTag d;
  FloatVector sums[rows][tiles * lineVectors];
  for (auto &line : sums)
    for (auto &v : line)
      v = hn::Zero(d);
  const float *x = a.input + row * a.inputStride;
  const int64_t columns = a.layout.columns;
  if constexpr (type == quant::ElementType::BF16) {
    for (int64_t k = 0; k < columns; k += 2)
      addPairLine<rows, tiles>(lines + k * tileRows * 2, tileStride, x + k,
                               a.inputStride, k + 1 < columns, sums);
  } else {
    constexpr int64_t lineBytes =
        tileRows * (type == quant::ElementType::F32 ? 4 : 2);
    for (int64_t k = 0; k < columns; ++k)
      addLine<type, rows, tiles>(lines + k * lineBytes, tileStride, x + k,
                                 a.inputStride, sums);
  }
  for (int64_t m = 0; m < rows; ++m)
    for (int64_t t = 0; t < tiles; ++t)
      storeTileRow(a, row + m, tile + t, &sums[m][t * lineVectors]);
}

/// All rows of x times `tiles` tiles.
template <quant::ElementType type, int64_t tiles>
HWY_INLINE void multiplyAllRows(const LinearArguments &a, const uint8_t *lines,
                                int64_t tileStride, int64_t tile) {
  int64_t row = 0;
  for (; row + floatRows <= a.rows; row += floatRows)
    multiplyLines<type, floatRows, tiles>(a, lines, tileStride, row, tile);
  for (; row < a.rows; ++row)
    multiplyLines<type, 1, tiles>(a, lines, tileStride, row, tile);
}

} // namespace qopt::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // per-target guard
