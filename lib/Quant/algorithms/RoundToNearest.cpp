// Round to nearest: each group on its own, no data, no search. The formulas are
// in Algorithm.h; here they are loops that a compiler can vectorise. Groups are
// short, so a group's range, scale and codes are done before the next is
// touched.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/Algorithm.h"
#include "lib/Quant/Element.h"
#include "lib/Quant/Grid.h"
#include "lib/Quant/Storage.h"
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace qopt::quant {

/// True when every value is finite: the exponent of x − x is all ones exactly
/// where that of x is.
static bool allFinite(const float *values, int64_t count) {
  float sum = 0;
  for (int64_t i = 0; i < count; ++i)
    sum += values[i] - values[i];
  return sum == 0;
}

/// What floating point elements round by themselves: values in units of the
/// scale.
static void divideGroup(const float *values, int64_t count, float scale,
                        float *quotients) {
  for (int64_t i = 0; i < count; ++i)
    quotients[i] = scale == 0 ? 0 : values[i] / scale;
}

/// Values that are stored as they are, rounded.
static Status convertRows(const Format &format, const RowBlock &block,
                          const QuantizedRows &result) {
  const Element &element = elementOf(format.element);
  element.encode(block.values, block.rows * block.columns, result.codes);
  std::vector<float> stored(static_cast<size_t>(block.columns));
  for (int64_t row = 0; row < block.rows; ++row) {
    const float *values = block.values + row * block.columns;
    element.decode(result.codes + row * bytesPerRow(format, block.columns),
                   block.columns, stored.data());
    if (allFinite(stored.data(), block.columns))
      continue;
    ValueRange ignored;
    QOPT_RETURN_IF_ERROR(observeRange(
        {values, block.firstRow + row, 1, block.columns}, ignored));
    for (int64_t column = 0; column < block.columns; ++column)
      if (!std::isfinite(stored[column]))
        return beyondType(format, values[column], block.firstRow + row, column);
  }
  return {};
}

Status roundToNearest(const Format &format, const RowBlock &block,
                      const ValueRange &range, const QuantizedRows &result) {
  const Element &element = elementOf(format.element);
  if (element.isFloat)
    return convertRows(format, block, result);
  if (!allFinite(block.values, block.rows * block.columns)) {
    ValueRange ignored;
    return observeRange(block, ignored);
  }
  bool perTensor = format.granularity == Granularity::Tensor;
  GridShape shape = gridShape(format, block.rows, block.columns);
  int64_t groups = shape.groupsPerRow(), size = shape.groupColumns();
  std::vector<float> numbers(static_cast<size_t>(block.columns));
  int64_t together = rowsPerBlock(format);
  std::vector<GroupParameters> parameters(
      static_cast<size_t>(groups * together));
  for (int64_t row = 0; row < block.rows; ++row) {
    const float *values = block.values + row * block.columns;
    GroupParameters *own =
        parameters.data() + row % together * shape.groupsPerRow();
    if (perTensor)
      *own = coverRange(shape, 0, range);
    else if (together == 1)
      coverRow(shape, row, values, own);
    else if (row % together == 0)
      coverBlock(shape, values, std::min(together, block.rows - row), own);
    QOPT_RETURN_IF_ERROR(checkScales(shape, own, values, block.firstRow + row));
    storeParameters(shape, perTensor ? 0 : row, own, result);
    for (int64_t group = 0; group < groups; ++group) {
      int64_t begin = group * size,
              count = std::min(size, block.columns - begin);
      const GroupParameters &its = own[group];
      if (!element.encode)
        roundGroup(shape, its, values + begin, count, numbers.data() + begin);
      else
        divideGroup(values + begin, count, its.scale, numbers.data() + begin);
    }
    storeRow(shape, numbers.data(),
             result.codes + row * bytesPerRow(format, block.columns));
  }
  if (block.firstRow == 0)
    storeBook(format, shape.levels.numbers().data(), result.zeros);
  return {};
}

} // namespace qopt::quant
