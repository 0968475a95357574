// Host packing of `skinny_linear` weights and its inverse; SkinnyLinear.h draws
// the layout. Both directions walk the same places, so that each is a
// description of the other.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/SkinnyLinear/SkinnyLinearPack.h"
#include "lib/Quant/Element.h"
#include "lib/Quant/FloatConversion.h"

#include <algorithm>
#include <cstring>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::skinny_linear;
using quant::ElementType;
using quant::Granularity;
using quant::ZeroType;

static constexpr int64_t planeBytes = stripRows * 2;

static int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

static int64_t bitsOf(const quant::Format &format) {
  return quant::elementOf(format.element).bits;
}

int64_t skinny_linear::groupsPerUnit(const quant::Format &format) {
  if (format.granularity != Granularity::Group)
    return 0;
  return format.groupSize < unitColumns ? unitColumns / format.groupSize : 1;
}

bool skinny_linear::hasRowScales(const quant::Format &format) {
  return format.granularity == Granularity::Channel ||
         format.granularity == Granularity::Tensor;
}

int64_t skinny_linear::unitBytes(const quant::Format &format) {
  int64_t planes = groupsPerUnit(format) * (format.isSymmetric() ? 1 : 2);
  return stripRows * unitColumns * bitsOf(format) / 8 + planes * planeBytes;
}

int64_t skinny_linear::rowOfStrip(int64_t rows, bool paired, int64_t strip,
                                  int64_t r) {
  if (!paired) {
    int64_t row = strip * stripRows + r;
    return row < rows ? row : -1;
  }
  int64_t row = strip * 8 + r % 8;
  return row < rows / 2 ? row + (r / 8) * (rows / 2) : -1;
}

static int64_t stripsOf(int64_t rows, bool paired) {
  return paired ? ceilDiv(rows / 2, 8) : ceilDiv(rows, stripRows);
}

int64_t skinny_linear::packedBytes(const Segment &segment, int64_t columns,
                                   bool paired) {
  int64_t strips = stripsOf(segment.rows, paired);
  int64_t bytes =
      strips * ceilDiv(columns, unitColumns) * unitBytes(segment.weight);
  return bytes + (hasRowScales(segment.weight) ? strips * stripRows * 4 : 0);
}

int64_t skinny_linear::packedBytes(const Problem &problem) {
  int64_t bytes = 0;
  for (const Segment &segment : problem.segments)
    bytes += packedBytes(segment, problem.columns, problem.paired);
  return bytes;
}

namespace {
/// Where the weight of strip row `row` and unit column `column` lies in the
/// codes of its unit: a bit offset.
struct CodePlace {
  int64_t bits;
  CodePlace(const quant::Format &format, int64_t row, int64_t column) {
    int64_t elementBits = bitsOf(format), chunk = column / 32,
            t = column % 32 / 8, j = column % 8 / 4, h = column % 4 / 2,
            e = column % 2, g = row % 8, high = row / 8;
    int64_t lane = 4 * g + t, product = 2 * chunk + j;
    if (elementBits == 4) // four products a block, one word each
      bits = (product / 4 * 512 + lane * 16 + product % 4 * 4) * 8 +
             (high + 2 * h + 4 * e) * 4;
    else if (elementBits == 8) // two products a block, one word a half
      bits = (product / 2 * 512 + lane * 16 + (product % 2 * 2 + h) * 4) * 8 +
             (format.element == ElementType::Fp8E4m3 ? e + 2 * high
                                                     : high + 2 * e) *
                 8;
    else // one product a block
      bits = (product * 512 + lane * 16 + (high + 2 * h) * 4) * 8 + e * 16;
  }
};

/// Offset in a plane of the value of strip row `row`.
int64_t planePlace(int64_t row) { return (row % 8 * 2 + row / 8) * 2; }
} // namespace

static uint16_t readBits16(const uint8_t *bytes) {
  uint16_t bits;
  std::memcpy(&bits, bytes, 2);
  return bits;
}

static void writeBits16(uint8_t *bytes, uint16_t bits) {
  std::memcpy(bytes, &bits, 2);
}

static int codeOffset(const quant::Format &format) {
  if (!format.isSymmetric())
    return 0;
  return format.element == ElementType::Int4   ? 8
         : format.element == ElementType::Int8 ? 128
                                               : 0;
}

/// One row of canonical storage as numbers: the bits of floating point values,
/// codes without sign, or those of fp8.
static std::vector<uint16_t> readRow(const quant::Format &format,
                                     const uint8_t *bytes, int64_t columns) {
  std::vector<uint16_t> values(columns);
  if (format.isFloat()) {
    std::memcpy(values.data(), bytes, columns * 2);
    return values;
  }
  const quant::Element &element = quant::elementOf(format.element);
  if (!element.isInteger()) {
    std::copy_n(bytes, columns, values.begin());
    return values;
  }
  std::vector<int16_t> codes(columns);
  quant::unpackCodes(format, bytes, columns, codes.data());
  for (int64_t k = 0; k < columns; ++k)
    values[k] = uint16_t(codes[k] + codeOffset(format));
  return values;
}

static void writeRow(const quant::Format &format,
                     const std::vector<uint16_t> &values, uint8_t *bytes) {
  int64_t columns = int64_t(values.size());
  if (format.isFloat()) {
    std::memcpy(bytes, values.data(), columns * 2);
    return;
  }
  if (!quant::elementOf(format.element).isInteger()) {
    std::copy(values.begin(), values.end(), bytes);
    return;
  }
  std::vector<int16_t> codes(columns);
  for (int64_t k = 0; k < columns; ++k)
    codes[k] = int16_t(int(values[k]) - codeOffset(format));
  quant::elementOf(format.element).pack(codes.data(), columns, bytes);
}

static void writeCode(int64_t elementBits, CodePlace place, uint16_t value,
                      uint8_t *unit) {
  uint8_t *byte = unit + place.bits / 8;
  if (elementBits == 4)
    *byte |= uint8_t(value << place.bits % 8);
  else if (elementBits == 8)
    *byte = uint8_t(value);
  else
    writeBits16(byte, value);
}

static uint16_t readCode(int64_t elementBits, CodePlace place,
                         const uint8_t *unit) {
  const uint8_t *byte = unit + place.bits / 8;
  if (elementBits == 4)
    return *byte >> place.bits % 8 & 15;
  return elementBits == 8 ? *byte : readBits16(byte);
}

/// A zero point as a half; u8 codes are exact.
static uint16_t readZero(const quant::Format &format, const uint8_t *zeros,
                         int64_t index) {
  if (format.zero == ZeroType::U8)
    return quant::floatToHalf(zeros[index]);
  return readBits16(zeros + 2 * index);
}

static void writeZero(const quant::Format &format, uint16_t half,
                      uint8_t *zeros, int64_t index) {
  if (format.zero == ZeroType::U8)
    zeros[index] = uint8_t(quant::halfToFloat(half));
  else
    writeBits16(zeros + 2 * index, half);
}

namespace {
/// The addresses of one segment's parts, shared by both directions.
struct PackedSegment {
  const Segment &segment;
  int64_t columns, units, strips, bytes, groups, groupsOfRow, codesOfUnit;
  bool paired;

  PackedSegment(const Segment &segment, int64_t columns, bool paired)
      : segment(segment), columns(columns),
        units(ceilDiv(columns, unitColumns)),
        strips(stripsOf(segment.rows, paired)),
        bytes(unitBytes(segment.weight)), groups(groupsPerUnit(segment.weight)),
        groupsOfRow(quant::groupsPerRow(segment.weight, columns)),
        codesOfUnit(stripRows * unitColumns * bitsOf(segment.weight) / 8),
        paired(paired) {}

  int64_t unitAt(int64_t strip, int64_t unit) const {
    return (strip * units + unit) * bytes;
  }
  int64_t rowScaleAt(int64_t strip, int64_t r) const {
    return strips * units * bytes + (strip * stripRows + r) * 4;
  }
  /// Group of the row that group `group` of unit `unit` is, or −1 behind the
  /// last. Groups larger than a unit have their scale in each of their units.
  int64_t groupOf(int64_t unit, int64_t group) const {
    int64_t column = unit * unitColumns +
                     group * (groups ? unitColumns / groups : unitColumns);
    return column < columns ? column / segment.weight.groupSize : -1;
  }
  template <typename Visit> void eachRow(Visit visit) const {
    for (int64_t strip = 0; strip < strips; ++strip)
      for (int64_t r = 0; r < stripRows; ++r)
        visit(strip, r, rowOfStrip(segment.rows, paired, strip, r));
  }
};
} // namespace

static void packScales(const PackedSegment &place, int64_t strip, int64_t r,
                       int64_t row, const quant::StoredRows &stored,
                       uint8_t *packed) {
  const quant::Format &format = place.segment.weight;
  if (hasRowScales(format)) {
    int64_t index = format.granularity == Granularity::Tensor ? 0 : row;
    float scale = quant::loadScale(format, stored.scales, index);
    std::memcpy(packed + place.rowScaleAt(strip, r), &scale, 4);
  }
  for (int64_t unit = 0; unit < place.units; ++unit)
    for (int64_t i = 0; i < place.groups; ++i) {
      int64_t group = place.groupOf(unit, i);
      if (group < 0)
        continue;
      int64_t index = row * place.groupsOfRow + group;
      uint8_t *plane = packed + place.unitAt(strip, unit) + place.codesOfUnit +
                       i * planeBytes + planePlace(r);
      writeBits16(plane, readBits16(stored.scales + 2 * index));
      if (!format.isSymmetric())
        writeBits16(plane + place.groups * planeBytes,
                    readZero(format, stored.zeros, index));
    }
}

void skinny_linear::packSegment(const Segment &segment, int64_t columns,
                                bool paired, const quant::StoredRows &stored,
                                uint8_t *packed) {
  PackedSegment place(segment, columns, paired);
  std::memset(packed, 0, packedBytes(segment, columns, paired));
  int64_t rowBytes = quant::bytesPerRow(segment.weight, columns);
  int64_t bits = bitsOf(segment.weight);
  place.eachRow([&](int64_t strip, int64_t r, int64_t row) {
    if (row < 0)
      return;
    std::vector<uint16_t> values =
        readRow(segment.weight, stored.codes + row * rowBytes, columns);
    for (int64_t k = 0; k < columns; ++k)
      writeCode(bits, CodePlace(segment.weight, r, k % unitColumns), values[k],
                packed + place.unitAt(strip, k / unitColumns));
    packScales(place, strip, r, row, stored, packed);
  });
}

static void unpackScales(const PackedSegment &place, int64_t strip, int64_t r,
                         int64_t row, const uint8_t *packed, uint8_t *scales,
                         uint8_t *zeros) {
  const quant::Format &format = place.segment.weight;
  if (hasRowScales(format)) {
    float scale;
    std::memcpy(&scale, packed + place.rowScaleAt(strip, r), 4);
    int64_t index = format.granularity == Granularity::Tensor ? 0 : row;
    quant::storeScale(format, scale, scales, index);
  }
  for (int64_t unit = 0; unit < place.units; ++unit)
    for (int64_t i = 0; i < place.groups; ++i) {
      int64_t group = place.groupOf(unit, i);
      if (group < 0)
        continue;
      int64_t index = row * place.groupsOfRow + group;
      const uint8_t *plane = packed + place.unitAt(strip, unit) +
                             place.codesOfUnit + i * planeBytes + planePlace(r);
      writeBits16(scales + 2 * index, readBits16(plane));
      if (!format.isSymmetric())
        writeZero(format, readBits16(plane + place.groups * planeBytes), zeros,
                  index);
    }
}

void skinny_linear::unpackSegment(const Segment &segment, int64_t columns,
                                  bool paired, const uint8_t *packed,
                                  uint8_t *codes, uint8_t *scales,
                                  uint8_t *zeros) {
  PackedSegment place(segment, columns, paired);
  int64_t rowBytes = quant::bytesPerRow(segment.weight, columns);
  int64_t bits = bitsOf(segment.weight);
  place.eachRow([&](int64_t strip, int64_t r, int64_t row) {
    if (row < 0)
      return;
    std::vector<uint16_t> values(columns);
    for (int64_t k = 0; k < columns; ++k)
      values[k] = readCode(bits, CodePlace(segment.weight, r, k % unitColumns),
                           packed + place.unitAt(strip, k / unitColumns));
    writeRow(segment.weight, values, codes + row * rowBytes);
    unpackScales(place, strip, r, row, packed, scales, zeros);
  });
}
