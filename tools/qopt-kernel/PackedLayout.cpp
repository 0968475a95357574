// The packed layout of weights as tables: where each element of a unit lies is
// found by packing units that differ in known bits, so that a reader of the
// record packs as lib/Kernels does.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/SkinnyLinear/SkinnyLinearPack.h"
#include "lib/Quant/BitFields.h"
#include "lib/Quant/Element.h"
#include "tools/qopt-kernel/LinearFamily.h"

#include "llvm/ADT/bit.h"

#include <optional>

namespace qopt::kernel_tool {

using namespace kernels::skinny_linear;

namespace {
/// Canonical storage of one strip and unit, and how it is packed.
struct Unit {
  Segment segment;
  std::vector<uint8_t> codes, scales, zeros;

  explicit Unit(quant::Format format) : segment{stripRows, format} {
    // What all rows share is packed for each of them.
    if (format.granularity == quant::Granularity::Tensor)
      format.granularity = segment.weight.granularity =
          quant::Granularity::Channel;
    codes.resize(quant::codeBytes(format, stripRows, unitColumns));
    scales.resize(quant::scaleBytes(format, stripRows, unitColumns));
    zeros.resize(quant::zeroBytes(format, stripRows, unitColumns));
  }
  std::vector<uint8_t> pack() const {
    std::vector<uint8_t> packed(packedBytes(segment, unitColumns, false));
    packSegment(segment, unitColumns, false,
                {codes.data(), scales.data(), zeros.data()}, packed.data());
    return packed;
  }
};
} // namespace

/// The lowest bit in which the arrays differ.
static std::optional<int64_t> differingBit(const std::vector<uint8_t> &a,
                                           const std::vector<uint8_t> &b) {
  for (size_t i = 0; i < a.size(); ++i)
    if (a[i] != b[i])
      return int64_t(i) * 8 + llvm::countr_zero(uint8_t(a[i] ^ b[i]));
  return std::nullopt;
}

/// The last byte in which the arrays differ.
static std::optional<int64_t> lastDifferingByte(const std::vector<uint8_t> &a,
                                                const std::vector<uint8_t> &b) {
  for (size_t i = a.size(); i-- > 0;)
    if (a[i] != b[i])
      return int64_t(i);
  return std::nullopt;
}

/// The bits of canonical storage whose places are asked for, [row][column]: all
/// of an element that has less than 8, which may lie apart, else the lowest.
static std::vector<size_t> askedBits(const quant::Format &format) {
  int64_t bits = quant::elementOf(format.element).bits,
          rowBits = 8 * quant::bytesPerRow(format, unitColumns);
  int64_t asked = bits < 8 ? bits : 1;
  std::vector<size_t> all;
  for (int64_t row = 0; row < stripRows; ++row)
    for (int64_t i = 0; i < unitColumns * asked; ++i)
      all.push_back(size_t(row * rowBits + i / asked * bits + i % asked));
  return all;
}

/// Bit offsets of these bits in the packed unit. Packing moves each to a place
/// of its own; so all are found together: bit n, from 1 on, is inverted in
/// those turns that are ones of n, and a place that differs in these holds it.
static llvm::json::Array codePlaces(const Unit &empty) {
  std::vector<size_t> asked = askedBits(empty.segment.weight);
  std::vector<uint8_t> before = empty.pack();
  std::vector<size_t> numbers(before.size() * 8);
  for (int turn = 0; turn < llvm::bit_width(asked.size()); ++turn) {
    Unit unit = empty;
    for (size_t n = 1; n <= asked.size(); ++n)
      if (n >> turn & 1)
        unit.codes[asked[n - 1] / 8] ^= uint8_t(1u << asked[n - 1] % 8);
    std::vector<uint8_t> after = unit.pack();
    for (size_t bit = 0; bit < numbers.size(); ++bit)
      numbers[bit] |= size_t((before[bit / 8] ^ after[bit / 8]) >> bit % 8 & 1)
                      << turn;
  }
  // Sums of codes, which may differ as any of them does, lie behind the codes.
  std::vector<int64_t> places(asked.size(), -1);
  for (size_t bit = numbers.size(); bit-- > 0;)
    if (numbers[bit] && numbers[bit] <= asked.size())
      places[numbers[bit] - 1] = int64_t(bit);
  return llvm::json::Array(places);
}

/// Byte offsets of the values of a plane, [row][group], whose values have
/// `valueBytes` in canonical storage and `packedBytes` there; behind the units
/// where they belong to rows.
static llvm::json::Array planePlaces(const Unit &empty,
                                     std::vector<uint8_t> Unit::*array,
                                     int64_t valueBytes, int64_t packedBytes) {
  std::vector<uint8_t> before = empty.pack();
  llvm::json::Array places;
  for (size_t at = 0; at < (empty.*array).size(); at += size_t(valueBytes)) {
    Unit unit = empty;
    // The highest byte, and then that of the packed value: with this bit every
    // type of scale or zero point has another exponent than 0.
    (unit.*array)[at + size_t(valueBytes) - 1] ^= 2;
    std::optional<int64_t> byte = lastDifferingByte(before, unit.pack());
    places.push_back(byte ? *byte - (packedBytes - 1) : -1);
  }
  return places;
}

/// The same of `count` codes of `bits` bits that begin `first` bytes behind the
/// begin of a row.
static llvm::json::Array fieldPlaces(const Unit &empty,
                                     std::vector<uint8_t> Unit::*array,
                                     int64_t first, int64_t count, int bits) {
  std::vector<uint8_t> before = empty.pack();
  llvm::json::Array places;
  auto rowBytes = int64_t((empty.*array).size()) / stripRows;
  for (int64_t row = 0; row < stripRows; ++row)
    for (int64_t i = 0; i < count; ++i) {
      Unit unit = empty;
      quant::storeField((unit.*array).data() + row * rowBytes + first, i, bits,
                        1);
      std::optional<int64_t> bit = differingBit(before, unit.pack());
      places.push_back(bit ? *bit / 8 : -1);
    }
  return places;
}

/// Scales that are a code times the f16 of some groups, and their zero points.
static void describeTwoLevels(const quant::Format &format, const Unit &empty,
                              llvm::json::Object &layout) {
  int64_t units = quant::unitsPerRow(format, unitColumns),
          groups = groupsPerUnit(format);
  int bits = quant::scaleCodeBits(format);
  layout["scale_code_bits"] = bits;
  layout["scale_code_offset"] = scaleCodeOffset(format);
  layout["scale_places"] =
      fieldPlaces(empty, &Unit::scales, 2 * units, groups, bits);
  layout["scale_unit_columns"] =
      quant::groupsPerScaleUnit(format) * format.groupSize;
  layout["scale_unit_places"] = fieldPlaces(empty, &Unit::scales, 0, units, 16);
  if (format.isSymmetric())
    return;
  layout["zero_bytes"] = 1;
  layout["zero_places"] =
      fieldPlaces(empty, &Unit::zeros, 0, groups, quant::zeroBits(format));
}

static llvm::json::Object describeSegment(const Segment &segment,
                                          int64_t columns) {
  quant::Format format = segment.weight;
  // Packed scales of e4m3 are their products with the row's f32.
  if (format.scale == quant::ScaleType::E4m3)
    format.scale = quant::ScaleType::F32;
  Unit empty(format);
  const quant::Element &element = quant::elementOf(format.element);
  int64_t bits = element.bits;
  bool centred = element.isInteger() && format.isSymmetric();
  llvm::json::Object layout{
      {"rows", segment.rows},
      {"weights", quant::spell(segment.weight)},
      {"unit_bytes", unitBytes(format)},
      {"element_bits", bits},
      {"code_offset", centred ? int64_t(1) << (bits - 1) : 0},
      {"code_places", codePlaces(empty)},
      {"group_columns",
       format.isFloat() ? 0 : quant::groupColumns(format, columns)}};
  if (element.bookSize)
    layout["book_numbers"] = element.bookSize;
  else if (element.encode && !element.isFloat)
    layout["numbers"] = describeNumbers(format.element);
  if (hasBook(format))
    layout["book_bytes"] = packedBookBytes(format);
  if (format.hasScaleFields()) {
    describeTwoLevels(format, empty, layout);
    return layout;
  }
  int64_t scaleBytes = quant::bytesPerScale(format);
  if (!format.isFloat() && !hasRowScales(format)) {
    int64_t packedBytes = hasWideScales(format) ? 4 : 2;
    layout["scale_bytes"] = packedBytes;
    layout["scale_places"] =
        planePlaces(empty, &Unit::scales, scaleBytes, packedBytes);
  }
  if (!format.isSymmetric()) {
    int64_t zeroBytes = hasWideZeros(format) ? 4 : 2;
    layout["zero_bytes"] = zeroBytes;
    layout["zero_places"] = planePlaces(
        empty, &Unit::zeros,
        format.zero == quant::ZeroType::U8 ? 1 : scaleBytes, zeroBytes);
  }
  return layout;
}

llvm::json::Object
describeWeights(const Problem &problem,
                llvm::function_ref<int64_t(size_t)> scaleOffset) {
  llvm::json::Array segments;
  int64_t packedAt = 0;
  for (size_t i = 0; i < problem.segments.size(); ++i) {
    const Segment &segment = problem.segments[i];
    llvm::json::Object layout = describeSegment(segment, problem.columns);
    layout["packed_at"] = packedAt;
    layout["row_scales_at"] =
        hasRowScales(segment.weight) ? scaleOffset(i) : -1;
    segments.push_back(std::move(layout));
    packedAt += packedBytes(segment, problem.columns, problem.paired);
  }
  return llvm::json::Object{{"strip_rows", stripRows},
                            {"unit_columns", unitColumns},
                            {"segments", std::move(segments)}};
}

} // namespace qopt::kernel_tool
