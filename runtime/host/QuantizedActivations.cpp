// Quantization of activations as a kernel of its own; the norms and gated
// activations write the same records themselves.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/QuantizedActivations.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/host/QuantizedActivations.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include "runtime/host/QuantizeRow-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qopt::host::HWY_NAMESPACE {

/// Blocks [begin, end) of the flat sequence of blocks of all rows.
void quantizeBlocks(const float *input, int64_t stride, int64_t columns,
                    void *output, int64_t begin, int64_t end) {
  const QuantizedLayout layout{columns};
  for (int64_t i = begin; i < end;) {
    const int64_t row = i / layout.blocks(), block = i % layout.blocks();
    const int64_t last = HWY_MIN(layout.blocks(), block + end - i);
    const int64_t from = block * blockColumns;
    quantizeSpan(input + row * stride + from,
                 HWY_MIN(last * blockColumns, columns) - from, layout,
                 static_cast<uint8_t *>(output) + row * layout.rowBytes(),
                 block);
    i += last - block;
  }
}

} // namespace qopt::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qopt::host {

HWY_EXPORT(quantizeBlocks);

void quantizeActivations(const float *input, int64_t stride, int64_t rows,
                         int64_t columns, void *output, ThreadPool &pool) {
  auto body = HWY_DYNAMIC_DISPATCH(quantizeBlocks);
  pool.parallelFor(rows * QuantizedLayout{columns}.blocks(), 512,
                   [&](int64_t begin, int64_t end) {
                     body(input, stride, columns, output, begin, end);
                   });
}

void dequantizeActivations(const void *input, int64_t rows, int64_t columns,
                           float *output, ThreadPool &pool) {
  const QuantizedLayout layout{columns};
  const uint8_t *records = static_cast<const uint8_t *>(input);
  pool.parallelFor(rows, 16384 / columns + 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const uint8_t *record = records + row * layout.rowBytes();
      const int8_t *codes = reinterpret_cast<const int8_t *>(record);
      const float *scales =
          reinterpret_cast<const float *>(record + layout.scaleOffset());
      for (int64_t k = 0; k < columns; ++k)
        output[row * columns + k] =
            scales[k / blockColumns] * static_cast<float>(codes[k]);
    }
  });
}

} // namespace qopt::host
#endif // HWY_ONCE
