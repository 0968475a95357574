// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/algorithms/ScaleTuning.h"
#include "lib/Quant/FloatConversion.h"
#include "lib/Quant/algorithms/Tasks.h"
#include <cmath>
#include <cstring>

namespace qopt::quant {

bool hasTunableScales(const Format &format) {
  return format.granularity == Granularity::Group ||
         format.granularity == Granularity::Channel;
}

/// A unit of a row of scales.
static float unitOf(const Format &format, const uint8_t *row, int64_t index) {
  if (bytesPerUnit(format) == sizeof(uint16_t)) {
    uint16_t bits;
    std::memcpy(&bits, row + index * int64_t(sizeof bits), sizeof bits);
    return halfToFloat(bits);
  }
  float unit;
  std::memcpy(&unit, row + index * int64_t(sizeof unit), sizeof unit);
  return unit;
}

TunableMatrix::TunableMatrix(const Format &format, int64_t rows,
                             int64_t columns, const StoredRows &stored)
    : format(format), rows(rows), columns(columns), stored(stored) {
  int64_t groups = groupsPerRow(format, columns),
          ofRow = format.hasTwoLevels() ? unitsPerRow(format, columns) : 0;
  scales.resize(size_t(rows * groups));
  units.resize(size_t(rows * ofRow));
  for (int64_t row = 0; row < rows; ++row) {
    StoredRows from = rowsFrom(format, stored, columns, row);
    loadScales(format, from, columns, scales.data() + row * groups);
    for (int64_t unit = 0; unit < ofRow; ++unit)
      units[size_t(row * ofRow + unit)] = unitOf(format, from.scales, unit);
  }
}

/// A scale times e^x as it can be stored; what is beyond its type, or would
/// vanish, stays as it is.
template <typename Stored>
static float scaled(float scale, float exponent, const Stored &asStored) {
  float result = asStored(scale * std::exp(exponent));
  return std::isfinite(result) && result != 0 ? result : scale;
}

void TunableMatrix::scalesOf(int64_t row, const float *parameters,
                             float *rowScales, float *rowUnits) const {
  int64_t groups = groupsPerRow(format, columns);
  const float *own = scales.data() + row * groups;
  const float *theta = parameters + row * groups;
  if (units.empty()) {
    uint8_t bytes[sizeof(float)];
    for (int64_t g = 0; g < groups; ++g)
      rowScales[g] = scaled(own[g], theta[g], [&](float scale) {
        return storeScale(format, scale, bytes, 0);
      });
    return;
  }
  int64_t ofRow = unitsPerRow(format, columns),
          each = groupsPerScaleUnit(format);
  const float *ownUnits = units.data() + row * ofRow;
  const float *phi = parameters + scales.size() + row * ofRow;
  for (int64_t u = 0; u < ofRow; ++u)
    rowUnits[u] = scaled(ownUnits[u], phi[u], [&](float unit) {
      return storableUnit(format, unit);
    });
  for (int64_t g = 0; g < groups; ++g) {
    float unit = rowUnits[g / each], before = ownUnits[g / each];
    // Of the same multiple of the unit, whatever the unit has become.
    float start = before == 0 ? 0 : own[g] / before * unit;
    rowScales[g] = start == 0 ? 0 : scaled(start, theta[g], [&](float scale) {
      return nearestMultiple(format, unit, scale);
    });
  }
}

void TunableMatrix::values(const float *parameters, const float *columnFactors,
                           float *result, unsigned threads) const {
  int64_t groups = groupsPerRow(format, columns),
          width = groupColumns(format, columns),
          ofRow = units.empty() ? 0 : unitsPerRow(format, columns);
  forTasks(threads, rows, [&](int64_t row) {
    float *values = result + row * columns;
    dequantizeRows(format, rowsFrom(format, stored, columns, row), 1, columns,
                   values);
    std::vector<float> rowScales(static_cast<size_t>(groups)),
        rowUnits(static_cast<size_t>(ofRow));
    scalesOf(row, parameters, rowScales.data(), rowUnits.data());
    for (int64_t j = 0; j < columns; ++j) {
      float before = scales[size_t(row * groups + j / width)];
      float factor = before == 0 ? 1 : rowScales[size_t(j / width)] / before;
      values[j] *= columnFactors ? factor * columnFactors[j] : factor;
    }
  });
}

void addColumnProducts(const float *gradientOfValues, const float *values,
                       int64_t rows, int64_t columns, float *sums) {
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j)
      sums[j] += gradientOfValues[i * columns + j] * values[i * columns + j];
}

void TunableMatrix::addGradients(const float *gradientOfValues,
                                 const float *values, float *gradients,
                                 float *ofColumns, unsigned threads) const {
  int64_t groups = groupsPerRow(format, columns),
          width = groupColumns(format, columns),
          ofRow = units.empty() ? 0 : unitsPerRow(format, columns),
          each = units.empty() ? 1 : groupsPerScaleUnit(format);
  forTasks(threads, rows, [&](int64_t row) {
    const float *g = gradientOfValues + row * columns;
    const float *w = values + row * columns;
    for (int64_t group = 0; group < groups; ++group) {
      float sum = 0;
      int64_t end = std::min(columns, (group + 1) * width);
      for (int64_t j = group * width; j < end; ++j)
        sum += g[j] * w[j];
      gradients[row * groups + group] += sum;
      if (ofRow)
        gradients[int64_t(scales.size()) + row * ofRow + group / each] += sum;
    }
  });
  addColumnProducts(gradientOfValues, values, rows, columns, ofColumns);
}

void TunableMatrix::store(const float *parameters, uint8_t *result) const {
  int64_t groups = groupsPerRow(format, columns),
          ofRow = units.empty() ? 0 : unitsPerRow(format, columns);
  std::vector<float> rowScales(static_cast<size_t>(groups)),
      rowUnits(static_cast<size_t>(ofRow));
  for (int64_t row = 0; row < rows; ++row) {
    scalesOf(row, parameters, rowScales.data(), rowUnits.data());
    storeScales(format, rowUnits.data(), rowScales.data(), columns,
                result + row * scaleBytesPerRow(format, columns));
  }
}

} // namespace qopt::quant
