// Host packing of `skinny_linear` weights and its inverse; SkinnyLinear.h draws
// the layout. Both directions walk the same places, so that each is a
// description of the other.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/SkinnyLinear/SkinnyLinearPack.h"
#include "lib/Quant/BitFields.h"
#include "lib/Quant/Element.h"
#include "lib/Quant/FloatConversion.h"

#include <algorithm>
#include <bit>
#include <cmath>
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

std::vector<CodePlane> skinny_linear::codePlanes(const quant::Format &format) {
  int bits = int(bitsOf(format));
  if (bits >= 8)
    return {{4, 0}};
  // Numbers of a book are in no mantissa.
  int low = bits < 4 ? 2 : 4, rotation = hasBook(format) ? 0 : 6 - bits;
  std::vector<CodePlane> planes = {{low, rotation}};
  if (low < bits)
    planes.push_back({bits - low, rotation + low});
  return planes;
}

int skinny_linear::productsPerBlock(const quant::Format &format) {
  int64_t bits = bitsOf(format);
  return bits < 8 ? 4 : int(16 / bits);
}

int64_t skinny_linear::codePlaneOffset(const quant::Format &format,
                                       size_t plane, int64_t products) {
  std::vector<CodePlane> planes = codePlanes(format);
  int64_t offset = 0;
  for (size_t i = 0; i < plane; ++i)
    offset += planes[i].blockBytes() * products / productsPerBlock(format);
  return offset;
}

Numbers skinny_linear::numbersOf(const quant::Format &format,
                                 ElementType activation) {
  if (!quant::elementOf(format.element).isInteger())
    return {{0, 0}, 0};
  bool bf16 = activation == ElementType::BF16;
  double zero = std::ldexp(1, int(bitsOf(format)) - 1);
  if (format.element == ElementType::Int8)
    return bf16 ? Numbers{{-128, -128}, zero} : Numbers{{1024, 1024}, zero};
  // The lowest bit of a code is that of the mantissa's 7 or 10 which the first
  // plane's rotation says, or the fourth behind it.
  int rotation = codePlanes(format).front().rotation;
  double base = std::ldexp(1, (bf16 ? 7 : 10) - rotation);
  return {{base, bf16 ? base : base / 16}, zero};
}

double skinny_linear::scaleFactor(const quant::Format &format,
                                  ElementType activation) {
  if (!hasWideScales(format) || activation == ElementType::BF16)
    return 1;
  constexpr double ofBook = 128;
  switch (format.element) {
  case ElementType::Fp8E4m3:
    return 256;
  case ElementType::Fp8E5m2:
    return 32768;
  case ElementType::Fp4E2m1:
    return 4;
  case ElementType::Nf4:
    return 1;
  default:
    return hasBook(format) ? ofBook : numbersOf(format, activation).zero;
  }
}

int64_t skinny_linear::groupsPerUnit(const quant::Format &format) {
  if (!format.isGrouped())
    return 0;
  return format.groupSize < unitColumns ? unitColumns / format.groupSize : 1;
}

int64_t skinny_linear::planesPerUnit(const quant::Format &format) {
  int64_t ofRow = format.isSymmetric() ? 0 : 1;
  return format.isGrouped() ? groupsPerUnit(format) : ofRow;
}

bool skinny_linear::splitsChunks(const quant::Format &format) {
  constexpr int64_t chunkColumns = 32;
  return format.granularity == Granularity::Group &&
         2 * format.groupSize == chunkColumns;
}

bool skinny_linear::hasRowScales(const quant::Format &format) {
  return format.granularity == Granularity::Channel ||
         format.granularity == Granularity::Tensor;
}

bool skinny_linear::hasWideScales(const quant::Format &format) {
  return format.isGrouped() && format.scale != quant::ScaleType::F16 &&
         !format.hasScaleFields();
}

bool skinny_linear::hasWideZeros(const quant::Format &format) {
  return format.zero == ZeroType::Float &&
         format.scale != quant::ScaleType::F16 && !format.hasScaleFields();
}

/// Of a group, f32 where these are `wide`.
static int64_t groupPlaneBytes(const quant::Format &format, bool wide) {
  if (format.hasScaleFields())
    return stripRows;
  return wide ? 2 * planeBytes : planeBytes;
}

int64_t skinny_linear::scalePlaneBytes(const quant::Format &format) {
  return groupsPerUnit(format) ? groupPlaneBytes(format, hasWideScales(format))
                               : 0;
}

int64_t skinny_linear::zeroPlaneBytes(const quant::Format &format) {
  return format.isSymmetric() ? 0
                              : groupPlaneBytes(format, hasWideZeros(format));
}

int64_t skinny_linear::scalesOffset(const quant::Format &format) {
  return stripRows * unitColumns * bitsOf(format) / 8;
}

int64_t skinny_linear::zerosOffset(const quant::Format &format) {
  return scalesOffset(format) + planesPerUnit(format) * scalePlaneBytes(format);
}

int64_t skinny_linear::scaleUnitsOffset(const quant::Format &format) {
  return zerosOffset(format) + planesPerUnit(format) * zeroPlaneBytes(format);
}

int64_t skinny_linear::unitBytes(const quant::Format &format) {
  return scaleUnitsOffset(format) + (format.hasScaleFields() ? planeBytes : 0);
}

int skinny_linear::scaleCodeOffset(const quant::Format &format) {
  return quant::hasSignedScales(format)
             ? 1 << (quant::scaleCodeBits(format) - 1)
             : 0;
}

bool skinny_linear::hasBook(const quant::Format &format) {
  const quant::Element &element = quant::elementOf(format.element);
  return element.bookSize > 0 || element.numbers;
}

int64_t skinny_linear::packedBookBytes(const quant::Format &format) {
  if (!hasBook(format))
    return 0;
  return quant::elementOf(format.element).numbers ? 16 * sizeof(float) : 16;
}

int64_t skinny_linear::bookBytes(const quant::Format &format) {
  return hasBook(format) && bitsOf(format) == 4 ? bookPairs * bookRowBytes : 0;
}

int64_t skinny_linear::bookBytes(const Problem &problem) {
  int64_t bytes = 0;
  for (const Segment &segment : problem.segments)
    bytes = std::max(bytes, bookBytes(segment.weight));
  return bytes;
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
  return bytes + (hasRowScales(segment.weight) ? strips * stripRows * 4 : 0) +
         packedBookBytes(segment.weight);
}

int64_t skinny_linear::packedBytes(const Problem &problem) {
  int64_t bytes = 0;
  for (const Segment &segment : problem.segments)
    bytes += packedBytes(segment, problem.columns, problem.paired);
  return bytes;
}

namespace {
constexpr int64_t productsOfUnit = unitColumns / 16;

/// Where the weight of strip row `row` and unit column `column` lies among the
/// fragments of products.
struct FragmentPlace {
  int64_t lane, product;
  int high, h, e; ///< rows g+8; half of k; column of a pair
  FragmentPlace(int64_t row, int64_t column)
      : lane(row % 8 * 4 + column % 32 / 8),
        product(column / 32 * 2 + column % 8 / 4), high(int(row / 8)),
        h(int(column % 4 / 2)), e(int(column % 2)) {}
};

/// Bits of a code: `mask` of them from the `first` on, at bit `rotation` of the
/// word at `offset`, behind whose last bit comes its first; or its one or two
/// bytes at `offset`.
struct CodePart {
  int32_t offset;
  uint8_t rotation, mask, first;
};

/// The part of a code in a plane that begins at byte `begin`.
CodePart partOf(const quant::Format &format, FragmentPlace at, CodePlane plane,
                int64_t begin) {
  int64_t perBlock = productsPerBlock(format), bits = bitsOf(format);
  int64_t lane = begin + at.product / perBlock * plane.blockBytes() +
                 at.lane * plane.words * 4;
  if (bits == 16) // one product a block
    return {int32_t(lane + (at.high + 2 * at.h) * 4 + at.e * 2), 0, 0, 0};
  if (bits == 8) { // two products a block, one word a half
    int byte =
        quant::isFp8(format.element) ? at.e + 2 * at.high : at.high + 2 * at.e;
    return {int32_t(lane + (at.product % 2 * 2 + at.h) * 4 + byte), 0, 0, 0};
  }
  int nibble = hasBook(format) ? at.e + 2 * at.high + 4 * at.h
                               : at.high + 2 * at.h + 4 * at.e;
  int bit = int(at.product % 4) * plane.words; // as many as a code has there
  int place = nibble * 4 + bit % 4 + plane.rotation;
  return {int32_t(lane + bit / 4 * 4), uint8_t(place % 32),
          uint8_t((1 << plane.words) - 1),
          uint8_t(begin ? bits - plane.words : 0)};
}

/// Where the codes of a unit lie.
struct CodePlaces {
  int64_t bits;
  size_t partsOfCode;          ///< planes
  std::vector<CodePart> parts; ///< [row][column][part]

  explicit CodePlaces(const quant::Format &format)
      : bits(bitsOf(format)), partsOfCode(codePlanes(format).size()) {
    std::vector<CodePlane> planes = codePlanes(format);
    parts.resize(size_t(stripRows * unitColumns) * partsOfCode);
    for (size_t plane = 0; plane < planes.size(); ++plane) {
      int64_t begin = codePlaneOffset(format, plane, productsOfUnit);
      for (int64_t i = 0; i < stripRows * unitColumns; ++i)
        parts[size_t(i) * partsOfCode + plane] = partOf(
            format, {i / unitColumns, i % unitColumns}, planes[plane], begin);
    }
  }

  const CodePart *of(int64_t row, int64_t column) const {
    return &parts[size_t(row * unitColumns + column) * partsOfCode];
  }
};

/// Which of a plane's values is that of strip row `row`.
int64_t planePlace(int64_t row) { return row % 8 * 2 + row / 8; }
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
  bool centred =
      format.isSymmetric() && quant::elementOf(format.element).isInteger();
  return centred ? 1 << (bitsOf(format) - 1) : 0;
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
  if (!element.unpackUnsigned) {
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
  if (!quant::elementOf(format.element).pack) {
    std::copy(values.begin(), values.end(), bytes);
    return;
  }
  std::vector<int16_t> codes(columns);
  for (int64_t k = 0; k < columns; ++k)
    codes[k] = int16_t(int(values[k]) - codeOffset(format));
  quant::elementOf(format.element).pack(codes.data(), columns, bytes);
}

static uint32_t readWord(const uint8_t *bytes) {
  uint32_t word;
  std::memcpy(&word, bytes, 4);
  return word;
}

static void writeCode(const CodePlaces &places, const CodePart *parts,
                      uint16_t value, uint8_t *unit) {
  if (places.bits == 16)
    return writeBits16(unit + parts->offset, value);
  if (places.bits == 8) {
    unit[parts->offset] = uint8_t(value);
    return;
  }
  for (size_t i = 0; i < places.partsOfCode; ++i) {
    const CodePart &part = parts[i];
    uint32_t word = readWord(unit + part.offset);
    word |= std::rotl(uint32_t(value) >> part.first & part.mask, part.rotation);
    std::memcpy(unit + part.offset, &word, 4);
  }
}

static uint16_t readCode(const CodePlaces &places, const CodePart *parts,
                         const uint8_t *unit) {
  if (places.bits == 16)
    return readBits16(unit + parts->offset);
  if (places.bits == 8)
    return unit[parts->offset];
  uint32_t code = 0;
  for (size_t i = 0; i < places.partsOfCode; ++i) {
    const CodePart &part = parts[i];
    uint32_t word = std::rotr(readWord(unit + part.offset), part.rotation);
    code |= (word & part.mask) << part.first;
  }
  return uint16_t(code);
}

/// Value `at` of a plane of scales or zero points: f16, or f32 where these are
/// `wide`, that is equal to what is stored.
static void packNumber(float value, uint8_t *plane, int64_t at, bool wide) {
  if (wide)
    std::memcpy(plane + 4 * at, &value, 4);
  else
    writeBits16(plane + 2 * at, quant::floatToHalf(value));
}

static float unpackNumber(const uint8_t *plane, int64_t at, bool wide) {
  if (!wide)
    return quant::halfToFloat(readBits16(plane + 2 * at));
  float value;
  std::memcpy(&value, plane + 4 * at, 4);
  return value;
}

/// Zero point `index` as value `at` of a plane; u8 codes are exact halves.
static void packZero(const quant::Format &format, const uint8_t *zeros,
                     int64_t index, uint8_t *plane, int64_t at) {
  float zero = format.zero == ZeroType::U8
                   ? zeros[index]
                   : quant::loadScale(format, zeros, index);
  packNumber(zero, plane, at, hasWideZeros(format));
}

static void unpackZero(const quant::Format &format, const uint8_t *plane,
                       int64_t at, uint8_t *zeros, int64_t index) {
  float zero = unpackNumber(plane, at, hasWideZeros(format));
  if (format.zero == ZeroType::U8)
    zeros[index] = uint8_t(zero);
  else
    quant::storeScale(format, zero, zeros, index);
}

namespace {
/// The addresses of one segment's parts, shared by both directions.
struct PackedSegment {
  const Segment &segment;
  int64_t columns, units, strips, bytes, groups, groupsOfRow;
  bool paired;

  PackedSegment(const Segment &segment, int64_t columns, bool paired)
      : segment(segment), columns(columns),
        units(ceilDiv(columns, unitColumns)),
        strips(stripsOf(segment.rows, paired)),
        bytes(unitBytes(segment.weight)), groups(planesPerUnit(segment.weight)),
        groupsOfRow(quant::groupsPerRow(segment.weight, columns)),
        paired(paired) {}

  int64_t unitAt(int64_t strip, int64_t unit) const {
    return (strip * units + unit) * bytes;
  }
  int64_t rowScaleAt(int64_t strip, int64_t r) const {
    return strips * units * bytes + (strip * stripRows + r) * 4;
  }
  int64_t bookAt() const {
    return packedBytes(segment, columns, paired) -
           packedBookBytes(segment.weight);
  }
  /// Group of the row that group `group` of unit `unit` is, or −1 behind the
  /// last. Groups larger than a unit, as whole rows, are in each of their
  /// units.
  int64_t groupOf(int64_t unit, int64_t group) const {
    int64_t column = unit * unitColumns + group * (unitColumns / groups);
    return column < columns
               ? column / quant::groupColumns(segment.weight, columns)
               : -1;
  }
  template <typename Visit> void eachRow(Visit visit) const {
    for (int64_t strip = 0; strip < strips; ++strip)
      for (int64_t r = 0; r < stripRows; ++r)
        visit(strip, r, rowOfStrip(segment.rows, paired, strip, r));
  }
};
} // namespace

/// The scale and zero points of group `group` of a row into those of the
/// group that `unit` has as its `i`th; `one` begins with the row.
static void packGroup(const quant::Format &format, int64_t columns,
                      const quant::StoredRows &one, float scale, int64_t group,
                      uint8_t *unit, int64_t i, int64_t r) {
  int64_t at = planePlace(r);
  uint8_t *scales = unit + scalesOffset(format) + i * scalePlaneBytes(format),
          *zeros = unit + zerosOffset(format) + i * zeroPlaneBytes(format);
  if (!format.hasScaleFields()) {
    if (format.isGrouped())
      packNumber(scale, scales, at, hasWideScales(format));
    if (!format.isSymmetric())
      packZero(format, one.zeros, group, zeros, at);
    return;
  }
  int bits = quant::scaleCodeBits(format);
  int code = quant::loadField(
      one.scales + 2 * quant::unitsPerRow(format, columns), group, bits);
  // A sign becomes an offset when its bit is flipped.
  scales[at] = uint8_t(code ^ scaleCodeOffset(format));
  if (!format.isSymmetric())
    zeros[at] =
        uint8_t(quant::loadField(one.zeros, group, quant::zeroBits(format)));
  writeBits16(
      unit + scaleUnitsOffset(format) + 2 * at,
      readBits16(one.scales + 2 * (group / quant::groupsPerScaleUnit(format))));
}

static void packScales(const PackedSegment &place, int64_t strip, int64_t r,
                       const quant::StoredRows &one, uint8_t *packed) {
  const quant::Format &format = place.segment.weight;
  if (hasRowScales(format)) {
    float scale = quant::loadScale(format, one.scales, 0);
    std::memcpy(packed + place.rowScaleAt(strip, r), &scale, 4);
  }
  std::vector<float> scales(size_t(place.groupsOfRow));
  quant::loadScales(format, one, place.columns, scales.data());
  for (int64_t unit = 0; unit < place.units; ++unit)
    for (int64_t i = 0; i < place.groups; ++i)
      if (int64_t group = place.groupOf(unit, i); group >= 0)
        packGroup(format, place.columns, one, scales[size_t(group)], group,
                  packed + place.unitAt(strip, unit), i, r);
}

void skinny_linear::packSegment(const Segment &segment, int64_t columns,
                                bool paired, const quant::StoredRows &stored,
                                uint8_t *packed) {
  PackedSegment place(segment, columns, paired);
  CodePlaces codes(segment.weight);
  std::memset(packed, 0, packedBytes(segment, columns, paired));
  place.eachRow([&](int64_t strip, int64_t r, int64_t row) {
    if (row < 0)
      return;
    quant::StoredRows one =
        quant::rowsFrom(segment.weight, stored, columns, row);
    std::vector<uint16_t> values = readRow(segment.weight, one.codes, columns);
    for (int64_t k = 0; k < columns; ++k)
      writeCode(codes, codes.of(r, k % unitColumns), values[k],
                packed + place.unitAt(strip, k / unitColumns));
    packScales(place, strip, r, one, packed);
  });
  const quant::Element &element = quant::elementOf(segment.weight.element);
  if (element.numbers)
    std::memcpy(packed + place.bookAt(), element.numbers,
                size_t(packedBookBytes(segment.weight)));
  else if (hasBook(segment.weight))
    std::memcpy(packed + place.bookAt(), stored.zeros,
                size_t(element.bookSize));
}

/// The inverse of packGroup, into rows of zeros.
static void unpackGroup(const quant::Format &format, int64_t columns,
                        const uint8_t *unit, int64_t i, int64_t r,
                        int64_t group, uint8_t *rowScales, uint8_t *rowZeros) {
  int64_t at = planePlace(r);
  const uint8_t *scales =
                    unit + scalesOffset(format) + i * scalePlaneBytes(format),
                *zeros =
                    unit + zerosOffset(format) + i * zeroPlaneBytes(format);
  if (!format.hasScaleFields()) {
    if (format.isGrouped())
      quant::storeScale(format, unpackNumber(scales, at, hasWideScales(format)),
                        rowScales, group);
    if (!format.isSymmetric())
      unpackZero(format, zeros, at, rowZeros, group);
    return;
  }
  writeBits16(rowScales + 2 * (group / quant::groupsPerScaleUnit(format)),
              readBits16(unit + scaleUnitsOffset(format) + 2 * at));
  quant::storeField(rowScales + 2 * quant::unitsPerRow(format, columns), group,
                    quant::scaleCodeBits(format),
                    scales[at] ^ scaleCodeOffset(format));
  if (!format.isSymmetric())
    quant::storeField(rowZeros, group, quant::zeroBits(format), zeros[at]);
}

static void unpackScales(const PackedSegment &place, int64_t strip, int64_t r,
                         const uint8_t *packed, uint8_t *scales,
                         uint8_t *zeros) {
  const quant::Format &format = place.segment.weight;
  if (hasRowScales(format)) {
    float scale;
    std::memcpy(&scale, packed + place.rowScaleAt(strip, r), 4);
    quant::storeScale(format, scale, scales, 0);
  }
  for (int64_t unit = 0; unit < place.units; ++unit)
    for (int64_t i = 0; i < place.groups; ++i)
      if (int64_t group = place.groupOf(unit, i); group >= 0)
        unpackGroup(format, place.columns, packed + place.unitAt(strip, unit),
                    i, r, group, scales, zeros);
}

void skinny_linear::unpackSegment(const Segment &segment, int64_t columns,
                                  bool paired, const uint8_t *packed,
                                  uint8_t *codes, uint8_t *scales,
                                  uint8_t *zeros) {
  PackedSegment place(segment, columns, paired);
  CodePlaces places(segment.weight);
  int64_t rowBytes = quant::bytesPerRow(segment.weight, columns),
          scaleRow = quant::scaleBytesPerRow(segment.weight, columns),
          zeroRow = quant::zeroBytesPerRow(segment.weight, columns);
  place.eachRow([&](int64_t strip, int64_t r, int64_t row) {
    if (row < 0)
      return;
    std::vector<uint16_t> values(columns);
    for (int64_t k = 0; k < columns; ++k)
      values[k] = readCode(places, places.of(r, k % unitColumns),
                           packed + place.unitAt(strip, k / unitColumns));
    writeRow(segment.weight, values, codes + row * rowBytes);
    int64_t own = segment.weight.granularity == Granularity::Tensor ? 0 : row;
    uint8_t *rowScales = scales + own * scaleRow,
            *rowZeros = zeros + own * zeroRow;
    if (segment.weight.hasScaleFields()) {
      std::fill_n(rowScales, scaleRow, 0);
      std::fill_n(rowZeros, zeroRow, 0);
    }
    unpackScales(place, strip, r, packed, rowScales, rowZeros);
  });
  if (int book = quant::elementOf(segment.weight.element).bookSize)
    std::memcpy(zeros, packed + place.bookAt(), size_t(book));
}
