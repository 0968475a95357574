// Grids: the levels of an element type, the parameters that cover a range, and
// matrices on a grid into storage.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/Grid.h"
#include "lib/Quant/FloatConversion.h"
#include "lib/Quant/Storage.h"
#include <cmath>
#include <cstring>

namespace qopt::quant {

Levels Levels::integers(int low, int high) {
  Levels levels;
  levels.lowest = float(low);
  levels.highest = float(high);
  return levels;
}

Levels Levels::ofElement(const Element &element) {
  Levels levels = integers(element.minCode, element.maxCode);
  levels.element = &element;
  return levels;
}

Levels Levels::codeBook(std::vector<float> numbers) {
  Levels levels;
  levels.lowest = numbers.front();
  levels.highest = numbers.back();
  for (size_t i = 1; i < numbers.size(); ++i)
    levels.middles.push_back((numbers[i - 1] + numbers[i]) / 2);
  levels.book = std::move(numbers);
  return levels;
}

int Levels::count() const {
  if (element)
    return 1 << element->bits;
  return isInteger() ? int(highest - lowest) + 1 : int(book.size());
}

void Levels::nearestOf(const float *x, int64_t count, float *numbers) const {
  if (isInteger()) {
    for (int64_t i = 0; i < count; ++i)
      numbers[i] = std::clamp(roundToEven(x[i]), lowest, highest);
  } else if (element) {
    constexpr int64_t some = 64;
    uint8_t codes[some * sizeof(float)];
    for (int64_t i = 0; i < count; i += some) {
      int64_t length = std::min(some, count - i);
      element->encode(x + i, length, codes);
      element->decode(codes, length, numbers + i);
    }
  } else {
    nearestInBook(x, count, numbers);
  }
}

/// Middle after middle, so that compilers vectorise what is done with many x.
void Levels::nearestInBook(const float *x, int64_t count,
                           float *numbers) const {
  constexpr int64_t some = 64;
  for (int64_t begin = 0; begin < count; begin += some) {
    int64_t length = std::min(some, count - begin);
    float padded[some] = {};
    std::copy_n(x + begin, length, padded);
    int32_t indices[some] = {};
    for (float middle : middles)
      for (int64_t i = 0; i < some; ++i)
        indices[i] += padded[i] > middle;
    for (int64_t i = 0; i < length; ++i)
      numbers[begin + i] = book[size_t(indices[i])];
  }
}

int64_t GridShape::groupColumns() const {
  return quant::groupColumns(format, columns);
}

int64_t GridShape::groupsPerRow() const {
  return quant::groupsPerRow(format, columns);
}

int64_t GridShape::parameterCount() const {
  return scaleCount(format, rows, columns);
}

size_t GridShape::unitOf(int64_t index) const {
  int64_t groups = groupsPerRow(), row = index / groups;
  return size_t(row * unitsPerRow(format, columns) +
                index % groups / groupsPerScaleUnit(format));
}

ValueRange scaleCodes(const Format &format) {
  if (!format.hasScaleFields())
    return {0, float(fp8E4m3Element.maxCode), 0};
  int count = 1 << scaleCodeBits(format);
  ValueRange codes;
  codes.low = hasSignedScales(format) ? float(-count / 2) : 0.0f;
  codes.high = codes.low + float(count - 1);
  return codes;
}

float storableUnit(const Format &format, float unit) {
  return format.hasScaleFields()
             ? halfToFloat(floatToHalf(unit)) + 0.0f // −0 + 0 is 0
             : unit;
}

/// Of e4m3, where no scale has a sign.
static float nearestFloatMultiple(float unit, float scale) {
  constexpr float smallest = 0x1p-9f;
  uint8_t code = floatToE4m3(std::max(scale / unit, smallest));
  return unit * e4m3ToFloat(code);
}

float nearestMultiple(const Format &format, float unit, float scale) {
  if (scale == 0 || unit == 0)
    return 0;
  if (!format.hasScaleFields())
    return nearestFloatMultiple(unit, scale);
  ValueRange codes = scaleCodes(format);
  float code = std::clamp(roundToEven(scale / unit), codes.low, codes.high);
  if (code == 0)
    code = std::signbit(scale) == std::signbit(unit) || codes.low == 0 ? 1 : -1;
  return unit * code;
}

float GridShape::storableScale(int64_t index, float scale) const {
  if (format.hasTwoLevels()) {
    float unit = units[unitOf(index)];
    return std::isnan(unit) ? scale : nearestMultiple(format, unit, scale);
  }
  uint8_t bytes[sizeof(float)];
  return storeScale(format, scale, bytes, 0);
}

float GridShape::storableZero(float zero) const {
  if (format.zero == ZeroType::Float)
    return storableScale(0, zero); // fractions have the scale's type
  return format.zero == ZeroType::None
             ? 0
             : std::clamp(roundToEven(zero), 0.0f, levels.high());
}

void roundGroup(const GridShape &shape, const GroupParameters &group,
                const float *weights, int64_t count, float *numbers) {
  if (group.scale == 0)
    return (void)std::fill(numbers, numbers + count, 0.0f);
  // A fractional zero is added before rounding, an integer one after.
  if (shape.format.zero == ZeroType::U8) {
    float low = shape.levels.low(), high = shape.levels.high();
    for (int64_t i = 0; i < count; ++i)
      numbers[i] = std::clamp(
          roundToEven(weights[i] / group.scale) + group.zero, low, high);
    return;
  }
  for (int64_t i = 0; i < count; ++i)
    numbers[i] = weights[i] / group.scale;
  if (!shape.format.isSymmetric()) // else −0 would lose its sign
    for (int64_t i = 0; i < count; ++i)
      numbers[i] += group.zero;
  shape.levels.nearestOf(numbers, count, numbers);
}

GridShape gridShape(const Format &format, int64_t rows, int64_t columns) {
  const Element &element = elementOf(format.element);
  const int8_t *book = element.usualBook;
  CodeBounds codes = symmetricCodes(format);
  Levels levels = element.encode ? Levels::ofElement(element)
                  : book ? Levels::codeBook({book, book + element.bookSize})
                  : format.isSymmetric()
                      ? Levels::integers(codes.low, codes.high)
                      : Levels::integers(0, element.unsignedMax);
  size_t units =
      format.hasTwoLevels() ? size_t(rows * unitsPerRow(format, columns)) : 0;
  return {format, std::move(levels), rows, columns,
          std::vector<float>(units, NAN)};
}

GroupParameters coverRange(const GridShape &shape, int64_t index,
                           const ValueRange &range) {
  const Levels &levels = shape.levels;
  if (shape.format.isSymmetric()) {
    float exact = levels.isFullRange()
                      ? range.largestMagnitude / levels.low()
                      : std::fabs(range.largestMagnitude) / levels.high();
    return {shape.storableScale(index, exact), 0};
  }
  float scale =
      shape.storableScale(index, (range.high - range.low) / levels.high());
  return {scale, scale == 0 ? 0 : shape.storableZero(-range.low / scale)};
}

/// The units of one row, of scales that are not bound to any: the largest
/// magnitude becomes the lowest code where codes have signs, else the highest.
static void coverScales(GridShape &shape, int64_t row,
                        const GroupParameters *groups) {
  ValueRange codes = scaleCodes(shape.format);
  int64_t perUnit = groupsPerScaleUnit(shape.format),
          count = shape.groupsPerRow();
  for (int64_t begin = 0; begin < count; begin += perUnit) {
    float largest = 0;
    for (int64_t g = begin; g < std::min(begin + perUnit, count); ++g)
      if (std::fabs(groups[g].scale) > std::fabs(largest))
        largest = groups[g].scale;
    float exact = largest / (codes.low < 0 ? codes.low : codes.high);
    shape.units[shape.unitOf(shape.indexOf(row, begin))] =
        storableUnit(shape.format, exact);
  }
}

void coverRow(GridShape &shape, int64_t row, const float *weights,
              GroupParameters *groups) {
  int64_t size = shape.groupColumns(), count = shape.groupsPerRow();
  auto cover = [&] {
    for (int64_t g = 0; g < count; ++g)
      groups[g] = coverRange(shape, shape.indexOf(row, g),
                             rangeOf(weights + g * size,
                                     std::min(size, shape.columns - g * size)));
  };
  if (shape.format.hasTwoLevels()) {
    int64_t units = unitsPerRow(shape.format, shape.columns);
    std::fill_n(shape.units.begin() + row * units, units, NAN);
    cover();
    coverScales(shape, row, groups);
  }
  cover();
}

int64_t rowsPerBlock(const Format &format) {
  return format.granularity == Granularity::Block ? format.groupSize : 1;
}

void coverBlock(const GridShape &shape, const float *weights, int64_t rows,
                GroupParameters *groups) {
  int64_t size = shape.groupColumns(), count = shape.groupsPerRow();
  for (int64_t g = 0; g < count; ++g) {
    int64_t columns = std::min(size, shape.columns - g * size);
    float largest = 0; // blocks have symmetric formats
    for (int64_t row = 0; row < rows; ++row)
      largest = std::max(
          largest,
          std::fabs(rangeOf(weights + row * shape.columns + g * size, columns)
                        .largestMagnitude));
    for (int64_t row = 0; row < rows; ++row)
      groups[row * count + g] = coverRange(shape, 0, {0, largest, largest});
  }
}

ValueRange rangeOf(const float *values, int64_t count) {
  ValueRange range;
  for (int64_t i = 0; i < count; ++i) {
    range.low = std::min(range.low, values[i]);
    range.high = std::max(range.high, values[i]);
  }
  if (range.high != -range.low) {
    range.largestMagnitude = range.high > -range.low ? range.high : range.low;
    return range;
  }
  for (int64_t i = 0; i < count; ++i) // a tie: the first decides
    if (std::fabs(values[i]) == range.high) {
      range.largestMagnitude = values[i];
      break;
    }
  return range;
}

StatusOr<Grid> coveringGrid(const GridShape &shape, const MatrixView &weights) {
  ValueRange whole;
  QOPT_RETURN_IF_ERROR(observeRange(
      {weights.values, weights.firstRow, weights.rows, weights.columns},
      whole));
  Grid grid{shape,
            std::vector<GroupParameters>(size_t(shape.parameterCount()))};
  bool perTensor = shape.format.granularity == Granularity::Tensor;
  int64_t together = rowsPerBlock(shape.format);
  for (int64_t row = 0; row < (perTensor ? 1 : weights.rows); ++row) {
    GroupParameters *groups =
        grid.groups.data() + row * grid.shape.groupsPerRow();
    if (perTensor)
      *groups = coverRange(shape, 0, whole);
    else if (together == 1)
      coverRow(grid.shape, row, weights.row(row), groups);
    else if (row % together == 0)
      coverBlock(shape, weights.row(row),
                 std::min(together, weights.rows - row), groups);
    QOPT_RETURN_IF_ERROR(checkScales(grid.shape, groups, weights.row(row),
                                     weights.firstRow + row));
  }
  return grid;
}

Status checkScales(const GridShape &shape, const GroupParameters *groups,
                   const float *weights, int64_t row) {
  int64_t size = shape.groupColumns();
  for (int64_t g = 0; g < shape.groupsPerRow(); ++g)
    if (!std::isfinite(groups[g].scale)) {
      int64_t count = std::min(size, shape.columns - g * size);
      return beyondType(shape.format,
                        rangeOf(weights + g * size, count).largestMagnitude,
                        row, g * size);
    }
  return {};
}

/// Calls body(row, begin, end, parameters) for every group, row after row.
template <typename Body>
static void forEachGroup(const Grid &grid, const Body &body) {
  const GridShape &shape = grid.shape;
  int64_t size = shape.groupColumns(), groups = shape.groupsPerRow();
  for (int64_t row = 0; row < shape.rows; ++row)
    for (int64_t group = 0; group < groups; ++group)
      body(row, group * size, std::min((group + 1) * size, shape.columns),
           grid.groups[size_t(shape.indexOf(row, group))]);
}

QuantizedMatrix roundToGrid(Grid grid, const MatrixView &weights) {
  std::vector<float> numbers(size_t(weights.rows * weights.columns));
  forEachGroup(grid, [&](int64_t row, int64_t begin, int64_t end,
                         const GroupParameters &group) {
    int64_t first = row * weights.columns + begin;
    roundGroup(grid.shape, group, weights.values + first, end - begin,
               numbers.data() + first);
  });
  return {std::move(grid), std::move(numbers)};
}

void dequantize(const QuantizedMatrix &matrix, float *values) {
  forEachGroup(matrix.grid, [&](int64_t row, int64_t begin, int64_t end,
                                const GroupParameters &group) {
    int64_t first = row * matrix.grid.shape.columns;
    for (int64_t i = first + begin; i < first + end; ++i)
      values[i] = group.value(matrix.numbers[size_t(i)]);
  });
}

void storeParameters(const GridShape &shape, int64_t row,
                     const GroupParameters *groups,
                     const QuantizedRows &result) {
  const Format &format = shape.format;
  auto count = size_t(shape.groupsPerRow());
  std::vector<float> values(count);
  std::transform(groups, groups + count, values.begin(),
                 [](const GroupParameters &group) { return group.scale; });
  const float *units = shape.units.empty()
                           ? nullptr
                           : &shape.units[shape.unitOf(shape.indexOf(row, 0))];
  storeScales(format, units, values.data(), shape.columns,
              result.scales + row * scaleBytesPerRow(format, shape.columns));
  if (format.isSymmetric())
    return;
  std::transform(groups, groups + count, values.begin(),
                 [](const GroupParameters &group) { return group.zero; });
  storeZeros(format, values.data(), shape.columns,
             result.zeros + row * zeroBytesPerRow(format, shape.columns));
}

void storeRow(const GridShape &shape, const float *numbers, uint8_t *bytes) {
  const Element &element = elementOf(shape.format.element);
  if (element.encode)
    return element.encode(numbers, shape.columns, bytes);
  std::vector<int16_t> codes(static_cast<size_t>(shape.columns));
  for (size_t i = 0; i < codes.size(); ++i)
    codes[i] = int16_t(element.bookSize ? shape.levels.indexOf(numbers[i])
                                        : int(numbers[i]));
  element.pack(codes.data(), shape.columns, bytes);
}

void store(const QuantizedMatrix &matrix, const QuantizedRows &result) {
  const GridShape &shape = matrix.grid.shape;
  int64_t perRow = shape.groupsPerRow(),
          count = int64_t(matrix.grid.groups.size()) / perRow;
  for (int64_t row = 0; row < count; ++row)
    storeParameters(shape, row, matrix.grid.groups.data() + row * perRow,
                    result);
  for (int64_t row = 0; row < shape.rows; ++row)
    storeRow(shape, matrix.numbers.data() + row * shape.columns,
             result.codes + row * bytesPerRow(shape.format, shape.columns));
  storeBook(shape.format, shape.levels.numbers().data(), result.zeros);
}

} // namespace qopt::quant
