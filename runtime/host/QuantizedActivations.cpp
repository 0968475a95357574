// Quantization of activations as a kernel of its own; the norms and gated
// activations write the same records themselves.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/QuantizedActivations.h"
#include "lib/Quant/Element.h"
#include "lib/Quant/FloatConversion.h"

#include <cstring>

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

void quantizeRows(const float *input, int64_t stride,
                  const ActivationFormat &format, const QuantizedLayout &layout,
                  uint8_t *output, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row)
    quantizeRow(input + row * stride, format, layout,
                output + row * layout.rowBytes());
}

} // namespace qopt::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qopt::host {

HWY_EXPORT(quantizeBlocks);
HWY_EXPORT(quantizeRows);

using quant::ElementType;
using quant::Granularity;

std::optional<ActivationCodes> activationCodes(const quant::Format &format) {
  if (format.scale != quant::ScaleType::F32)
    return std::nullopt;
  if (!format.isSymmetric())
    return format.element == ElementType::Int8 &&
                   format.zero == quant::ZeroType::U8 &&
                   format.granularity == Granularity::Channel
               ? std::optional(ActivationCodes::Int8Centred)
               : std::nullopt;
  const bool isRowWise = format.granularity == Granularity::Channel ||
                         format.granularity == Granularity::Tensor;
  if (format.element == ElementType::Int8 && isRowWise)
    return ActivationCodes::Int8Rows;
  if (format.element == ElementType::Fp8E4m3 && isRowWise)
    return ActivationCodes::Fp8Rows;
  if (format.element == ElementType::Int8 && format.groupSize == blockColumns)
    return ActivationCodes::Int8Blocks;
  return std::nullopt;
}

bool readsCodes(const quant::Format &weight, ActivationCodes codes) {
  const bool hasRowScales = weight.granularity == Granularity::Channel ||
                            weight.granularity == Granularity::Tensor;
  switch (codes) {
  case ActivationCodes::Int8Blocks:
    return quant::elementOf(weight.element).hasIntegerNumbers() &&
           (!weight.isGrouped() || weight.groupSize % blockColumns == 0);
  case ActivationCodes::Int8Rows:
    return weight.element == ElementType::Int8 && weight.isSymmetric() &&
           hasRowScales;
  case ActivationCodes::Fp8Rows:
    return weight.element == ElementType::Fp8E4m3 && hasRowScales;
  case ActivationCodes::Int8Centred:
    return weight.element == ElementType::Int8 && hasRowScales &&
           weight.zero != quant::ZeroType::Float;
  }
  return false;
}

void quantizeActivations(const float *input, int64_t stride, int64_t rows,
                         int64_t columns, const ActivationFormat &format,
                         void *output, ThreadPool &pool) {
  const QuantizedLayout layout{columns, format.codes};
  if (format.isRowWise()) {
    auto body = HWY_DYNAMIC_DISPATCH(quantizeRows);
    pool.parallelFor(rows, 16384 / columns + 1,
                     [&](int64_t begin, int64_t end) {
                       body(input, stride, format, layout,
                            static_cast<uint8_t *>(output), begin, end);
                     });
    return;
  }
  auto body = HWY_DYNAMIC_DISPATCH(quantizeBlocks);
  pool.parallelFor(rows * layout.blocks(), 512,
                   [&](int64_t begin, int64_t end) {
                     body(input, stride, columns, output, begin, end);
                   });
}

void centredActivations(const ModelCodes &input, int64_t rows, int64_t columns,
                        void *output, ThreadPool &pool) {
  const QuantizedLayout layout{columns, ActivationCodes::Int8Centred};
  const auto *codes = static_cast<const uint8_t *>(input.codes);
  const int flip = input.areUnsigned ? 0x80 : 0; // less 128, as signed bytes
  const auto zero = static_cast<int32_t>(
      static_cast<int8_t>(*static_cast<const uint8_t *>(input.zero) ^ flip));
  pool.parallelFor(rows, 16384 / columns + 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const uint8_t *from = codes + row * columns;
      uint8_t *record =
          static_cast<uint8_t *>(output) + row * layout.rowBytes();
      int32_t sum = 0;
      for (int64_t k = 0; k < columns; ++k) {
        record[k] = static_cast<uint8_t>(from[k] ^ flip);
        sum += static_cast<int8_t>(record[k]);
      }
      std::memset(record + columns, 0, layout.scaleOffset() - columns);
      std::memcpy(record + layout.scaleOffset(), input.scale, sizeof(float));
      std::memcpy(record + layout.sumOffset(), &sum, sizeof(sum));
      std::memcpy(record + layout.zeroOffset(), &zero, sizeof(zero));
    }
  });
}

void dequantizeActivations(const void *input, int64_t rows, int64_t columns,
                           ActivationCodes kind, float *output,
                           ThreadPool &pool) {
  const QuantizedLayout layout{columns, kind};
  const uint8_t *records = static_cast<const uint8_t *>(input);
  const int64_t perScale =
      kind == ActivationCodes::Int8Blocks ? blockColumns : columns;
  pool.parallelFor(rows, 16384 / columns + 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const uint8_t *record = records + row * layout.rowBytes();
      const float *scales =
          reinterpret_cast<const float *>(record + layout.scaleOffset());
      int32_t zero = 0;
      if (kind == ActivationCodes::Int8Centred)
        std::memcpy(&zero, record + layout.zeroOffset(), sizeof(zero));
      for (int64_t k = 0; k < columns; ++k)
        output[row * columns + k] =
            scales[k / perScale] *
            (kind == ActivationCodes::Fp8Rows
                 ? quant::e4m3ToFloat(record[k])
                 : static_cast<float>(static_cast<int8_t>(record[k]) - zero));
    }
  });
}

} // namespace qopt::host
#endif // HWY_ONCE
