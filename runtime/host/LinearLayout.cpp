// Packing: one row at a time is unpacked from canonical storage and scattered
// into its tile. The drawing is in the header.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/LinearLayout.h"
#include "lib/Quant/BitFields.h"
#include "lib/Quant/Element.h"
#include "lib/Quant/FloatConversion.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace qopt::host {

using quant::ElementType;
using quant::Granularity;

static int64_t roundUp(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

int64_t LinearLayout::groups() const {
  if (!format.isGrouped())
    return isFloat() ? 0 : 1;
  return (columns + format.groupSize - 1) / format.groupSize;
}

int64_t LinearLayout::groupColumns() const {
  return format.isGrouped() ? format.groupSize : blocks() * blockColumns;
}

int64_t LinearLayout::blocksPerGroup() const {
  return std::max<int64_t>(groupColumns() / blockColumns, 1);
}

int64_t LinearLayout::groupsPerBlock() const {
  return std::max<int64_t>(blockColumns / groupColumns(), 1);
}

int64_t LinearLayout::scaleLines() const {
  return roundUp(groups(), groupsPerBlock());
}

int64_t LinearLayout::codeBytes() const {
  switch (format.element) {
  case ElementType::F32:
    return columns * tileRows * 4;
  case ElementType::F16:
    return columns * tileRows * 2;
  case ElementType::BF16:
    return roundUp(columns, 2) * tileRows * 2;
  default:
    return blocks() * blockBytes(format.element);
  }
}

int64_t LinearLayout::scaleOffset() const { return roundUp(codeBytes(), 64); }

int64_t LinearLayout::scaleLineBytes() const {
  return format.hasTwoLevels()
             ? quant::fieldBytes(tileRows, quant::scaleCodeBits(format))
             : tileRows * quant::bytesPerScale(format);
}

int64_t LinearLayout::zeroLineBytes() const {
  switch (format.zero) {
  case quant::ZeroType::None:
    return 0;
  case quant::ZeroType::U8:
    return quant::fieldBytes(tileRows, quant::zeroBits(format));
  case quant::ZeroType::Float:
    return tileRows * quant::bytesPerScale(format);
  }
  return 0;
}

int64_t LinearLayout::zeroOffset() const {
  return scaleOffset() + roundUp(scaleLines() * scaleLineBytes(), 64);
}

int64_t LinearLayout::unitOffset() const {
  return zeroOffset() + roundUp(scaleLines() * zeroLineBytes(), 64);
}

int64_t LinearLayout::rowSumOffset() const {
  int64_t units =
      format.hasTwoLevels() ? quant::unitsPerRow(format, columns) : 0;
  return unitOffset() +
         roundUp(units * tileRows * quant::bytesPerUnit(format), 64);
}

int64_t LinearLayout::tileBytes() const {
  return rowSumOffset() + (hasRowSums ? tileRows * sizeof(int32_t) : 0);
}

StatusOr<LinearLayout> LinearLayout::withRowSums() const {
  bool isRowWise = format.granularity == Granularity::Channel ||
                   format.granularity == Granularity::Tensor;
  if (format.element != ElementType::Int8 || !isRowWise ||
      format.zero == quant::ZeroType::Float)
    return Status(StatusCode::Unsupported,
                  "activations with a zero point need weights of int8 with one "
                  "scale a row, got format \"" +
                      quant::spell(format) + "\"");
  LinearLayout result = *this;
  result.hasRowSums = true;
  return result;
}

StatusOr<LinearLayout> linearLayout(const quant::Format &format, int64_t rows,
                                    int64_t columns) {
  if (rows < 1 || columns < 1)
    return Status(StatusCode::InvalidArgument,
                  "a weight of shape " + std::to_string(rows) + "x" +
                      std::to_string(columns) +
                      " has no elements; expected at least 1x1");
  if (format.isGrouped() && format.groupSize != blockColumns / 2 &&
      format.groupSize % blockColumns)
    return Status(StatusCode::Unsupported,
                  "the host's kernels need a group size that is 16 or a "
                  "multiple of 32, got format \"" +
                      quant::spell(format) + "\"");
  return LinearLayout{format, rows, columns};
}

/// Values of one row of a floating-point weight, `size` bytes each.
static void packFloatRow(const LinearLayout &layout, const uint8_t *values,
                         int64_t row, uint8_t *tile) {
  int64_t size = layout.format.element == ElementType::F32 ? 4 : 2;
  // A line holds `step` columns of each row.
  int64_t step = layout.format.element == ElementType::BF16 ? 2 : 1;
  for (int64_t k = 0; k < layout.columns; ++k) {
    int64_t index = k / step * step * tileRows + row * step + k % step;
    std::memcpy(tile + index * size, values + k * size, size);
  }
}

/// Where a plane of `bits` lines has its bits of a code.
struct PlaneBits {
  PlaneBits(int bits, int64_t row, int64_t column)
      : byte(column % blockColumns / 4 % bits * lineBytes + row * 4 +
             column % 4),
        shift(static_cast<int>(column % blockColumns / 4 / bits) * bits),
        mask((1 << bits) - 1) {}

  int64_t byte;
  int shift, mask;
};

static void packCodes(const LinearLayout &layout, const int16_t *codes,
                      int64_t row, uint8_t *tile) {
  ElementType element = layout.format.element;
  bool isSigned =
      layout.format.isSymmetric() && quant::elementOf(element).isInteger();
  int offset = isSigned ? symmetricZero(element) : 0;
  int bits = codeBits(element), low = lowBits(bits);
  for (int64_t k = 0; k < layout.columns; ++k) {
    uint8_t *block = tile + k / blockColumns * blockBytes(element);
    int code = codes[k] + offset;
    PlaneBits first(low, row, k);
    block[first.byte] |= uint8_t((code & first.mask) << first.shift);
    if (low == bits)
      continue;
    PlaneBits second(bits - low, row, k);
    block[low * lineBytes + second.byte] |=
        uint8_t((code >> low & second.mask) << second.shift);
  }
}

int packedCode(ElementType element, const uint8_t *tile, int64_t row,
               int64_t column) {
  int bits = codeBits(element), low = lowBits(bits);
  const uint8_t *block = tile + column / blockColumns * blockBytes(element);
  PlaneBits first(low, row, column);
  int code = block[first.byte] >> first.shift & first.mask;
  if (low == bits)
    return code;
  PlaneBits second(bits - low, row, column);
  return code |
         (block[low * lineBytes + second.byte] >> second.shift & second.mask)
             << low;
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

float packedNumber(const LinearLayout &layout, const void *packed, int64_t row,
                   int64_t column) {
  ElementType element = layout.format.element;
  const uint8_t *weight = static_cast<const uint8_t *>(packed),
                *tile = weight + row / tileRows * layout.tileBytes();
  if (layout.isFloat()) {
    int64_t step = element == ElementType::BF16 ? 2 : 1;
    return floatAt(element, tile,
                   column / step * step * tileRows + row % tileRows * step +
                       column % step);
  }
  int code = packedCode(element, tile, row % tileRows, column);
  if (element == ElementType::Fp8E4m3)
    return quant::e4m3ToFloat(static_cast<uint8_t>(code));
  if (element == ElementType::Fp8E5m2)
    return quant::e5m2ToFloat(static_cast<uint8_t>(code));
  if (element == ElementType::Nf4)
    return quant::nf4Element.numbers[code];
  return static_cast<float>(
      hasBook(element) ? weight[layout.bookOffset() + code] : code);
}

/// `count` numbers of a row, `size` bytes each, into lines of 16 rows.
static void packNumbers(const uint8_t *numbers, int64_t count, int64_t size,
                        int64_t row, uint8_t *lines) {
  for (int64_t i = 0; i < count; ++i)
    std::memcpy(lines + (i * tileRows + row) * size, numbers + i * size, size);
}

/// `count` fields of a row, with `flip` in their bits.
static void packFields(const uint8_t *fields, int64_t count, int bits, int flip,
                       int64_t row, uint8_t *lines) {
  for (int64_t i = 0; i < count; ++i)
    quant::storeField(lines + i * quant::fieldBytes(tileRows, bits), row, bits,
                      quant::loadField(fields, i, bits) ^ flip);
}

/// The scales and zero points of a row of `tile`; `one` begins with them.
static void packParameters(const LinearLayout &layout,
                           const quant::StoredRows &one, int64_t row,
                           uint8_t *tile) {
  const quant::Format &format = layout.format;
  int64_t size = quant::bytesPerScale(format), groups = layout.groups();
  if (format.hasTwoLevels()) {
    int64_t units = quant::unitsPerRow(format, layout.columns);
    int bits = quant::scaleCodeBits(format);
    // A sign becomes an offset when its bit is flipped.
    int flip = quant::hasSignedScales(format) ? 1 << (bits - 1) : 0;
    int64_t unitBytes = quant::bytesPerUnit(format);
    packNumbers(one.scales, units, unitBytes, row, tile + layout.unitOffset());
    packFields(one.scales + unitBytes * units, groups, bits, flip, row,
               tile + layout.scaleOffset());
  } else {
    packNumbers(one.scales, groups, size, row, tile + layout.scaleOffset());
  }
  if (format.zero == quant::ZeroType::U8)
    packFields(one.zeros, groups, quant::zeroBits(format), /*flip=*/0, row,
               tile + layout.zeroOffset());
  else if (format.zero == quant::ZeroType::Float)
    packNumbers(one.zeros, groups, size, row, tile + layout.zeroOffset());
}

float packedScale(const LinearLayout &layout, const uint8_t *tile, int64_t row,
                  int64_t group) {
  const quant::Format &format = layout.format;
  const uint8_t *lines = tile + layout.scaleOffset();
  float factor = quant::numberUnit(format.element);
  if (!format.hasTwoLevels())
    return factor * quant::loadScale(format, lines, group * tileRows + row);
  if (!format.hasScaleFields()) {
    float unit;
    std::memcpy(&unit, tile + layout.unitOffset() + 4 * row, 4);
    return factor * (unit * quant::e4m3ToFloat(lines[group * tileRows + row]));
  }
  int bits = quant::scaleCodeBits(format);
  int code =
      quant::loadField(lines + group * layout.scaleLineBytes(), row, bits);
  int offset = quant::hasSignedScales(format) ? 1 << (bits - 1) : 0;
  uint16_t unit;
  std::memcpy(
      &unit,
      tile + layout.unitOffset() +
          2 * (group / quant::groupsPerScaleUnit(format) * tileRows + row),
      2);
  return factor *
         (quant::halfToFloat(unit) * static_cast<float>(code - offset));
}

float packedZero(const LinearLayout &layout, const uint8_t *tile, int64_t row,
                 int64_t group) {
  const quant::Format &format = layout.format;
  const uint8_t *lines = tile + layout.zeroOffset();
  switch (format.zero) {
  case quant::ZeroType::None:
    return static_cast<float>(symmetricZero(format.element));
  case quant::ZeroType::U8:
    return static_cast<float>(quant::loadField(
        lines + group * layout.zeroLineBytes(), row, quant::zeroBits(format)));
  case quant::ZeroType::Float:
    return quant::loadScale(format, lines, group * tileRows + row);
  }
  return 0;
}

static void packCodedRow(const LinearLayout &layout,
                         const quant::StoredRows &stored, int64_t row,
                         std::vector<int16_t> &codes, uint8_t *tile) {
  const quant::Format &format = layout.format;
  const quant::Element &element = quant::elementOf(format.element);
  quant::StoredRows one = quant::rowsFrom(format, stored, layout.columns, row);
  if (element.unpackUnsigned)
    quant::unpackCodes(format, one.codes, layout.columns, codes.data());
  else
    std::copy_n(one.codes, layout.columns, codes.data());
  packCodes(layout, codes.data(), row % tileRows, tile);
  packParameters(layout, one, row % tileRows, tile);
  if (!layout.hasRowSums)
    return;
  int32_t zero = format.isSymmetric() ? 0 : *one.zeros, sum = 0;
  for (int16_t code : codes)
    sum += code - zero;
  std::memcpy(tile + layout.rowSumOffset() + row % tileRows * sizeof(sum), &sum,
              sizeof(sum));
}

void packTiles(const LinearLayout &layout, const quant::StoredRows &stored,
               int64_t first, int64_t count, void *packed) {
  std::memset(packed, 0, count * layout.tileBytes());
  std::vector<int16_t> codes(layout.isFloat() ? 0 : layout.columns);
  int64_t end = std::min((first + count) * tileRows, layout.rows);
  for (int64_t row = first * tileRows; row < end; ++row) {
    uint8_t *tile = static_cast<uint8_t *>(packed) +
                    (row / tileRows - first) * layout.tileBytes();
    if (layout.isFloat())
      packFloatRow(layout,
                   stored.codes +
                       row * quant::bytesPerRow(layout.format, layout.columns),
                   row % tileRows, tile);
    else
      packCodedRow(layout, stored, row, codes, tile);
  }
}

void packWeight(const LinearLayout &layout, const quant::StoredRows &stored,
                void *packed) {
  packTiles(layout, stored, 0, layout.tiles(), packed);
  if (hasBook(layout.format.element))
    packBook(layout, stored,
             static_cast<uint8_t *>(packed) + layout.bookOffset());
}

void packBook(const LinearLayout &layout, const quant::StoredRows &stored,
              void *packed) {
  uint8_t *book = static_cast<uint8_t *>(packed);
  std::memset(book, 0, lineBytes);
  const quant::Element &element = quant::elementOf(layout.format.element);
  for (int i = 0; element.numbers && i < 16; ++i)
    book[i] = static_cast<uint8_t>(128 + element.numbers[i] /
                                             quant::numberUnit(element.type));
  for (int i = 0; i < element.bookSize; ++i)
    book[i] = static_cast<uint8_t>(stored.zeros[i] ^ 0x80);
}

} // namespace qopt::host
