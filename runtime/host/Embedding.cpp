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

/// Row `row` of a packed table.
static void packedRow(const EmbeddingArguments &a, const LinearLayout &layout,
                      int64_t row, float *out) {
  if (layout.isFloat()) {
    for (int64_t k = 0; k < a.columns; ++k)
      out[k] = packedNumber(layout, a.packed, row, k);
    return;
  }
  const uint8_t *tile = static_cast<const uint8_t *>(a.packed) +
                        row / tileRows * layout.tileBytes();
  int64_t groupColumns = layout.groupColumns();
  for (int64_t from = 0, group = 0; from < a.columns;
       from += groupColumns, ++group) {
    float scale = packedScale(layout, tile, row % tileRows, group);
    float zero = packedZero(layout, tile, row % tileRows, group);
    int64_t end = std::min(from + groupColumns, a.columns);
    for (int64_t k = from; k < end; ++k)
      out[k] = scale * (packedNumber(layout, a.packed, row, k) - zero);
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
