// Embedding rows are few and short; conversion is scalar but for the plain
// copies, through the formats' own decoders.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/Embedding.h"
#include "lib/Quant/FloatConversion.h"

#include <algorithm>
#include <cstring>

namespace qopt::host {

using quant::ElementType;

/// Row `row` of a table in canonical storage.
static void storedRow(const EmbeddingArguments &a, int64_t row, float *out) {
  quant::dequantizeRows(a.format,
                        quant::rowsFrom(a.format, a.stored, a.columns, row), 1,
                        a.columns, out);
}

static float floatAt(ElementType type, const uint8_t *values, int64_t index) {
  if (type == ElementType::F32) {
    float value;
    std::memcpy(&value, values + 4 * index, 4);
    return value;
  }
  uint16_t bits;
  std::memcpy(&bits, values + 2 * index, 2);
  return type == ElementType::F16 ? quant::halfToFloat(bits)
                                  : quant::bfloat16ToFloat(bits);
}

/// Row `row` of a packed table.
static void packedRow(const EmbeddingArguments &a, const LinearLayout &layout,
                      int64_t row, float *out) {
  const uint8_t *tile = static_cast<const uint8_t *>(a.packed) +
                        row / tileRows * layout.tileBytes();
  int64_t r = row % tileRows;
  if (layout.isFloat()) {
    int64_t step = layout.format.element == ElementType::BF16 ? 2 : 1;
    for (int64_t k = 0; k < a.columns; ++k)
      out[k] = floatAt(layout.format.element, tile,
                       k / step * step * tileRows + r * step + k % step);
    return;
  }
  ElementType element = layout.format.element;
  const uint8_t *book =
      static_cast<const uint8_t *>(a.packed) + layout.bookOffset();
  int64_t groupColumns = layout.groupColumns();
  for (int64_t from = 0, group = 0; from < a.columns;
       from += groupColumns, ++group) {
    float scale = packedScale(layout, tile, r, group);
    float zero = packedZero(layout, tile, r, group);
    int64_t end = std::min(from + groupColumns, a.columns);
    for (int64_t k = from; k < end; ++k) {
      int code = packedCode(element, tile, r, k);
      float number =
          element == ElementType::Fp8E4m3
              ? quant::e4m3ToFloat(static_cast<uint8_t>(code))
              : static_cast<float>(hasBook(element) ? book[code] : code);
      out[k] = scale * (number - zero);
    }
  }
}

int64_t embedding(const EmbeddingArguments &arguments, ThreadPool &pool) {
  const EmbeddingArguments &a = arguments;
  auto idAt = [&](int64_t i) {
    return a.ids ? static_cast<int64_t>(a.ids[i]) : a.wideIds[i];
  };
  for (int64_t i = 0; i < a.count; ++i)
    if (idAt(i) < 0 || idAt(i) >= a.rows)
      return i;
  const LinearLayout layout{a.format, a.rows, a.columns};
  int64_t grain = 8192 / a.columns + 1;
  pool.parallelFor(a.count, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      float *out = a.output + i * a.columns;
      a.packed ? packedRow(a, layout, idAt(i), out)
               : storedRow(a, idAt(i), out);
    }
  });
  return -1;
}

} // namespace qopt::host
