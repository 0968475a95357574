// Sizes of canonical storage and the way from it back to f32.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/Storage.h"
#include "lib/Quant/BitFields.h"
#include "lib/Quant/Element.h"
#include "lib/Quant/FloatConversion.h"
#include <algorithm>
#include <cstring>
#include <vector>

namespace qopt::quant {

int64_t groupColumns(const Format &format, int64_t columns) {
  return format.isGrouped() ? format.groupSize : columns;
}

std::string groupFault(const Format &format, int64_t columns) {
  int64_t group = groupColumns(format, columns);
  if (columns % group == 0)
    return {};
  return "the group size " + std::to_string(group) + " of \"" + spell(format) +
         "\" does not divide the " + std::to_string(columns) + " columns";
}

int64_t groupsPerRow(const Format &format, int64_t columns) {
  if (format.isFloat())
    return 0;
  return format.isGrouped()
             ? (columns + format.groupSize - 1) / format.groupSize
             : 1;
}

int64_t bytesPerRow(const Format &format, int64_t columns) {
  return (columns * elementOf(format.element).bits + 7) / 8;
}

int64_t bytesPerScale(const Format &format) {
  if (format.isFloat() || format.hasTwoLevels())
    return 0;
  switch (format.scale) {
  case ScaleType::F16:
  case ScaleType::BF16:
    return 2;
  case ScaleType::E8m0:
    return 1;
  default:
    return 4;
  }
}

int64_t unitsPerRow(const Format &format, int64_t columns) {
  return format.hasScaleFields()
             ? (columns + columnsPerUnit - 1) / columnsPerUnit
             : 1;
}

int64_t bytesPerUnit(const Format &format) {
  return format.hasScaleFields() ? 2 : 4;
}

int64_t groupsPerScaleUnit(const Format &format) {
  return format.hasScaleFields() ? columnsPerUnit / format.groupSize
                                 : int64_t(1) << 40;
}

int scaleCodeBits(const Format &format) {
  return format.scale == ScaleType::Code6 ? 6 : 8; // e4m3: 8
}

bool hasSignedScales(const Format &format) {
  CodeBounds codes = symmetricCodes(format);
  return format.isSymmetric() &&
         elementOf(format.element).hasIntegerNumbers() &&
         codes.low + codes.high < 0;
}

bool hasZeroArray(const Format &format) {
  return !format.isSymmetric() || elementOf(format.element).bookSize;
}

int zeroBits(const Format &format) {
  return format.hasScaleFields() ? int(elementOf(format.element).bits) : 8;
}

int64_t scaleBytesPerRow(const Format &format, int64_t columns) {
  int64_t groups = groupsPerRow(format, columns);
  return format.hasTwoLevels()
             ? bytesPerUnit(format) * unitsPerRow(format, columns) +
                   fieldBytes(groups, scaleCodeBits(format))
             : groups * bytesPerScale(format);
}

int64_t zeroBytesPerRow(const Format &format, int64_t columns) {
  int64_t groups = groupsPerRow(format, columns);
  if (format.isSymmetric())
    return 0;
  return format.zero == ZeroType::Float ? groups * bytesPerScale(format)
                                        : fieldBytes(groups, zeroBits(format));
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
  bool tensor = format.granularity == Granularity::Tensor;
  return (tensor ? 1 : rows) * scaleBytesPerRow(format, columns);
}

int64_t zeroBytes(const Format &format, int64_t rows, int64_t columns) {
  bool tensor = format.granularity == Granularity::Tensor;
  return (tensor ? 1 : rows) * zeroBytesPerRow(format, columns) +
         elementOf(format.element).bookSize;
}

bool isByRow(const Format &format) {
  return format.granularity != Granularity::Tensor &&
         !elementOf(format.element).bookSize;
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

static uint16_t loadHalf(const uint8_t *array, int64_t index) {
  uint16_t bits;
  std::memcpy(&bits, array + 2 * index, 2);
  return bits;
}

static float loadFloat(const uint8_t *array, int64_t index) {
  float value;
  std::memcpy(&value, array + 4 * index, 4);
  return value;
}

float loadScale(const Format &format, const uint8_t *scales, int64_t index) {
  switch (format.scale) {
  case ScaleType::F16:
    return halfToFloat(loadHalf(scales, index));
  case ScaleType::BF16:
    return bfloat16ToFloat(loadHalf(scales, index));
  case ScaleType::E8m0:
    return e8m0ToFloat(scales[index]);
  default:
    return loadFloat(scales, index);
  }
}

float storeScale(const Format &format, float value, uint8_t *scales,
                 int64_t index) {
  switch (format.scale) {
  case ScaleType::F16:
  case ScaleType::BF16: {
    uint16_t bits = format.scale == ScaleType::F16 ? floatToHalf(value)
                                                   : floatToBfloat16(value);
    std::memcpy(scales + 2 * index, &bits, 2);
    break;
  }
  case ScaleType::E8m0:
    scales[index] = floatToE8m0(value);
    break;
  default:
    std::memcpy(scales + 4 * index, &value, 4);
  }
  return loadScale(format, scales, index);
}

StoredRows rowsFrom(const Format &format, const StoredRows &stored,
                    int64_t columns, int64_t row) {
  int64_t own = format.granularity == Granularity::Tensor ? 0 : row;
  auto skip = [](const uint8_t *array, int64_t bytes) {
    return array ? array + bytes : nullptr;
  };
  return {skip(stored.codes, row * bytesPerRow(format, columns)),
          skip(stored.scales, own * scaleBytesPerRow(format, columns)),
          skip(stored.zeros, own * zeroBytesPerRow(format, columns))};
}

/// The number in front of a row's codes of scales.
static float loadUnit(const Format &format, const uint8_t *row, int64_t index) {
  return format.hasScaleFields() ? halfToFloat(loadHalf(row, index))
                                 : loadFloat(row, index);
}

void loadScales(const Format &format, const StoredRows &stored, int64_t columns,
                float *scales) {
  int64_t groups = groupsPerRow(format, columns);
  if (!format.hasTwoLevels()) {
    for (int64_t i = 0; i < groups; ++i)
      scales[i] = loadScale(format, stored.scales, i);
    return;
  }
  const uint8_t *codes =
      stored.scales + bytesPerUnit(format) * unitsPerRow(format, columns);
  int bits = scaleCodeBits(format);
  int sign = hasSignedScales(format) ? 1 << (bits - 1) : 0;
  for (int64_t i = 0; i < groups; ++i)
    scales[i] =
        loadUnit(format, stored.scales, i / groupsPerScaleUnit(format)) *
        (format.hasScaleFields()
             ? float((loadField(codes, i, bits) ^ sign) - sign)
             : e4m3ToFloat(codes[i]));
}

void loadZeros(const Format &format, const StoredRows &stored, int64_t columns,
               float *zeros) {
  for (int64_t i = 0; i < groupsPerRow(format, columns); ++i)
    zeros[i] = format.isSymmetric() ? 0
               : format.zero == ZeroType::Float
                   ? loadScale(format, stored.zeros, i)
                   : float(loadField(stored.zeros, i, zeroBits(format)));
}

void storeScales(const Format &format, const float *units, const float *scales,
                 int64_t columns, uint8_t *row) {
  int64_t groups = groupsPerRow(format, columns);
  if (!format.hasTwoLevels()) {
    for (int64_t i = 0; i < groups; ++i)
      storeScale(format, scales[i], row, i);
    return;
  }
  std::fill_n(row, scaleBytesPerRow(format, columns), 0);
  int64_t count = unitsPerRow(format, columns);
  if (!format.hasScaleFields()) {
    std::memcpy(row, units, 4);
    for (int64_t i = 0; i < groups && units[0] != 0; ++i)
      row[4 + i] = floatToE4m3(scales[i] / units[0]); // of the code's own bits
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    uint16_t bits = floatToHalf(units[i]);
    std::memcpy(row + 2 * i, &bits, 2);
  }
  for (int64_t i = 0; i < groups; ++i)
    if (float unit = units[i / groupsPerScaleUnit(format)]; unit != 0)
      storeField(row + 2 * count, i, scaleCodeBits(format),
                 int(scales[i] / unit)); // exact
}

void storeBook(const Format &format, const float *numbers, uint8_t *zeros) {
  for (int i = 0; i < elementOf(format.element).bookSize; ++i)
    zeros[i] = uint8_t(int8_t(numbers[i]));
}

void storeZeros(const Format &format, const float *zeros, int64_t columns,
                uint8_t *row) {
  int64_t groups = groupsPerRow(format, columns);
  if (format.zero == ZeroType::Float) {
    for (int64_t i = 0; i < groups; ++i)
      storeScale(format, zeros[i], row, i);
    return;
  }
  std::fill_n(row, zeroBytesPerRow(format, columns), 0);
  for (int64_t i = 0; i < groups; ++i)
    storeField(row, i, zeroBits(format), int(zeros[i]));
}

void unpackCodes(const Format &format, const uint8_t *bytes, int64_t columns,
                 int16_t *codes) {
  const Element &element = elementOf(format.element);
  if (format.isSymmetric() && element.isInteger())
    element.unpackSigned(bytes, columns, codes);
  else
    element.unpackUnsigned(bytes, columns, codes);
}

/// The codes of a row as numbers.
static void readCodes(const Format &format, const StoredRows &one,
                      std::vector<float> &numbers) {
  const Element &element = elementOf(format.element);
  int64_t columns = int64_t(numbers.size());
  if (element.decode)
    return element.decode(one.codes, columns, numbers.data());
  std::vector<int16_t> codes(numbers.size());
  unpackCodes(format, one.codes, columns, codes.data());
  if (!element.bookSize)
    return (void)std::copy(codes.begin(), codes.end(), numbers.begin());
  for (size_t i = 0; i < codes.size(); ++i)
    numbers[i] = float(int8_t(one.zeros[codes[i]]));
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
  std::vector<float> scales(static_cast<size_t>(groups)), zeros(scales);
  for (int64_t row = 0; row < rows; ++row) {
    StoredRows one = rowsFrom(format, stored, columns, row);
    readCodes(format, one, numbers);
    loadScales(format, one, columns, scales.data());
    loadZeros(format, one, columns, zeros.data());
    for (int64_t group = 0; group < groups; ++group) {
      float scale = scales[size_t(group)], zero = zeros[size_t(group)];
      int64_t end = std::min((group + 1) * size, columns);
      for (int64_t column = group * size; column < end; ++column)
        values[row * columns + column] =
            scale * (numbers[size_t(column)] - zero);
    }
  }
}

} // namespace qopt::quant
