// Sizes of canonical storage and the way from it back to f32.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/Storage.h"
#include "lib/Quant/Element.h"
#include "lib/Quant/FloatConversion.h"
#include <algorithm>
#include <cstring>
#include <vector>

namespace qopt::quant {

int64_t groupColumns(const Format &format, int64_t columns) {
  return format.granularity == Granularity::Group ? format.groupSize : columns;
}

int64_t groupsPerRow(const Format &format, int64_t columns) {
  if (format.isFloat())
    return 0;
  return format.granularity == Granularity::Group
             ? (columns + format.groupSize - 1) / format.groupSize
             : 1;
}

int64_t bytesPerRow(const Format &format, int64_t columns) {
  return (columns * elementOf(format.element).bits + 7) / 8;
}

int64_t bytesPerScale(const Format &format) {
  return format.isFloat() ? 0 : format.scale == ScaleType::F16 ? 2 : 4;
}

int64_t scaleCount(const Format &format, int64_t rows, int64_t columns) {
  return format.granularity == Granularity::Tensor
             ? 1
             : rows * groupsPerRow(format, columns);
}

int64_t codeBytes(const Format &format, int64_t rows, int64_t columns) {
  return rows * bytesPerRow(format, columns);
}

int64_t scaleBytes(const Format &format, int64_t rows, int64_t columns) {
  return scaleCount(format, rows, columns) * bytesPerScale(format);
}

int64_t zeroBytes(const Format &format, int64_t rows, int64_t columns) {
  if (format.isSymmetric())
    return 0;
  int64_t size = format.zero == ZeroType::U8 ? 1 : bytesPerScale(format);
  return scaleCount(format, rows, columns) * size;
}

double payloadBits(const Format &format) {
  return elementOf(format.element).bits;
}

double storedBits(const Format &format, int64_t rows, int64_t columns) {
  int64_t bytes = codeBytes(format, rows, columns) +
                  scaleBytes(format, rows, columns) +
                  zeroBytes(format, rows, columns);
  return 8.0 * double(bytes) / (double(rows) * double(columns));
}

float loadScale(const Format &format, const uint8_t *scales, int64_t index) {
  if (format.scale == ScaleType::F16) {
    uint16_t bits;
    std::memcpy(&bits, scales + 2 * index, 2);
    return halfToFloat(bits);
  }
  float value;
  std::memcpy(&value, scales + 4 * index, 4);
  return value;
}

float storeScale(const Format &format, float value, uint8_t *scales,
                 int64_t index) {
  if (format.scale == ScaleType::F16) {
    uint16_t bits = floatToHalf(value);
    std::memcpy(scales + 2 * index, &bits, 2);
    return halfToFloat(bits);
  }
  std::memcpy(scales + 4 * index, &value, 4);
  return value;
}

static float loadZero(const Format &format, const uint8_t *zeros,
                      int64_t index) {
  if (format.isSymmetric())
    return 0;
  return format.zero == ZeroType::U8 ? float(zeros[index])
                                     : loadScale(format, zeros, index);
}

void unpackCodes(const Format &format, const uint8_t *bytes, int64_t columns,
                 int16_t *codes) {
  const Element &element = elementOf(format.element);
  if (format.isSymmetric())
    element.unpackSigned(bytes, columns, codes);
  else
    element.unpackUnsigned(bytes, columns, codes);
}

/// The codes of a row as numbers.
static void readCodes(const Format &format, const uint8_t *bytes,
                      std::vector<float> &numbers) {
  const Element &element = elementOf(format.element);
  int64_t columns = int64_t(numbers.size());
  if (!element.isInteger())
    return element.decode(bytes, columns, numbers.data());
  std::vector<int16_t> codes(numbers.size());
  unpackCodes(format, bytes, columns, codes.data());
  std::copy(codes.begin(), codes.end(), numbers.begin());
}

void dequantizeRows(const Format &format, const StoredRows &stored,
                    int64_t rows, int64_t columns, float *values) {
  if (format.isFloat()) // rows of whole bytes: the padding between them is
                        // nothing
    return elementOf(format.element)
        .decode(stored.codes, rows * columns, values);
  std::vector<float> numbers(static_cast<size_t>(columns));
  int64_t groups = groupsPerRow(format, columns),
          size = groupColumns(format, columns);
  for (int64_t row = 0; row < rows; ++row) {
    readCodes(format, stored.codes + row * bytesPerRow(format, columns),
              numbers);
    for (int64_t group = 0; group < groups; ++group) {
      int64_t index =
          format.granularity == Granularity::Tensor ? 0 : row * groups + group;
      float scale = loadScale(format, stored.scales, index),
            zero = loadZero(format, stored.zeros, index);
      int64_t end = std::min((group + 1) * size, columns);
      for (int64_t column = group * size; column < end; ++column)
        values[row * columns + column] =
            scale * (numbers[size_t(column)] - zero);
    }
  }
}

} // namespace qopt::quant
