// Packing: one row at a time is unpacked from canonical storage and scattered
// into its tile. The drawing is in the header.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/LinearLayout.h"
#include "lib/Quant/Element.h"

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
  if (format.granularity != Granularity::Group)
    return isFloat() ? 0 : 1;
  return (columns + format.groupSize - 1) / format.groupSize;
}

int64_t LinearLayout::blocksPerGroup() const {
  return format.granularity == Granularity::Group
             ? format.groupSize / blockColumns
             : blocks();
}

int64_t LinearLayout::codeBytes() const {
  switch (format.element) {
  case ElementType::F32:
    return columns * tileRows * 4;
  case ElementType::F16:
    return columns * tileRows * 2;
  case ElementType::BF16:
    return roundUp(columns, 2) * tileRows * 2;
  case ElementType::Int8:
  case ElementType::Fp8E4m3:
    return blocks() * blockColumns * tileRows;
  case ElementType::Int4:
    return blocks() * blockColumns * tileRows / 2;
  }
  return 0;
}

int64_t LinearLayout::scaleOffset() const { return roundUp(codeBytes(), 64); }

int64_t LinearLayout::zeroOffset() const {
  return scaleOffset() +
         roundUp(groups() * tileRows * quant::bytesPerScale(format), 64);
}

int64_t LinearLayout::tileBytes() const {
  int64_t zeroSize = format.isSymmetric() ? 0
                     : format.zero == quant::ZeroType::U8
                         ? 1
                         : quant::bytesPerScale(format);
  return zeroOffset() + roundUp(groups() * tileRows * zeroSize, 64);
}

StatusOr<LinearLayout> linearLayout(const quant::Format &format, int64_t rows,
                                    int64_t columns) {
  if (rows < 1 || columns < 1)
    return Status(StatusCode::InvalidArgument,
                  "a weight of shape " + std::to_string(rows) + "x" +
                      std::to_string(columns) +
                      " has no elements; expected at least 1x1");
  if (format.granularity == Granularity::Group &&
      (format.groupSize < blockColumns || format.groupSize % blockColumns))
    return Status(StatusCode::Unsupported,
                  "the host's kernels need a group size that is a "
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

static void packCodes(const LinearLayout &layout, const int16_t *codes,
                      int64_t row, uint8_t *tile) {
  bool int4 = layout.format.element == ElementType::Int4;
  bool offsets = layout.format.isSymmetric() &&
                 layout.format.element != ElementType::Fp8E4m3;
  int offset = !offsets ? 0 : int4 ? 8 : 128;
  int64_t blockBytes = blockColumns * tileRows / (int4 ? 2 : 1);
  for (int64_t k = 0; k < layout.columns; ++k) {
    uint8_t code = static_cast<uint8_t>(codes[k] + offset);
    int64_t within = k % blockColumns, half = int4 ? within / 16 : 0;
    within -= half * 16;
    int64_t byte = within / 4 * 64 + row * 4 + within % 4;
    tile[k / blockColumns * blockBytes + byte] |= code << (4 * half);
  }
}

/// One scale or zero point of each group of a row.
static void packGroupValues(const LinearLayout &layout, const uint8_t *values,
                            int64_t size, int64_t row, uint8_t *part) {
  bool tensor = layout.format.granularity == Granularity::Tensor;
  for (int64_t group = 0; group < layout.groups(); ++group) {
    int64_t index = tensor ? 0 : row * layout.groups() + group;
    std::memcpy(part + (group * tileRows + row % tileRows) * size,
                values + index * size, size);
  }
}

static void packCodedRow(const LinearLayout &layout,
                         const quant::StoredRows &stored, int64_t row,
                         std::vector<int16_t> &codes, uint8_t *tile) {
  const quant::Format &format = layout.format;
  const quant::Element &element = quant::elementOf(format.element);
  const uint8_t *bytes =
      stored.codes + row * quant::bytesPerRow(format, layout.columns);
  if (element.isInteger())
    (format.isSymmetric() ? element.unpackSigned : element.unpackUnsigned)(
        bytes, layout.columns, codes.data());
  else
    std::copy_n(bytes, layout.columns, codes.data());
  packCodes(layout, codes.data(), row % tileRows, tile);
  int64_t scaleSize = quant::bytesPerScale(format);
  packGroupValues(layout, stored.scales, scaleSize, row,
                  tile + layout.scaleOffset());
  if (!format.isSymmetric())
    packGroupValues(layout, stored.zeros,
                    format.zero == quant::ZeroType::U8 ? 1 : scaleSize, row,
                    tile + layout.zeroOffset());
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
}

} // namespace qopt::host
