// Values that a format cannot hold: beyond the largest number of its type, or
// so small that they become zero. It is the type of the values in f16 and bf16,
// and that of the scales in formats that have them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/Algorithm.h"
#include "lib/Quant/Element.h"
#include "lib/Quant/Storage.h"
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

namespace qopt::quant {

namespace {
/// The type that limits a format, for messages.
struct Limit {
  std::string name, largest, smallest;
  std::string remedy; ///< formats that reach further; empty where none does
};
} // namespace

/// Whether the type that limits a format is f16, and whether it is bf16.
static bool isHalf(const Format &format) {
  return format.isFloat()
             ? format.element == ElementType::F16
             : format.scale == ScaleType::F16 || format.hasScaleFields();
}
static bool isBrain(const Format &format) {
  return format.isFloat() ? format.element == ElementType::BF16
                          : format.scale == ScaleType::BF16;
}

static Limit limitOf(const Format &format) {
  bool half = isHalf(format);
  Limit limit = {"f32", "3.4e+38", "1.4e-45", ""};
  if (half)
    limit = {"f16", "65504", "6e-08", "; use bf16 or f32"};
  else if (isBrain(format))
    limit = {"bf16", "3.39e+38", "9.2e-41", "; use f32"};
  if ((half || isBrain(format)) && !format.isFloat()) {
    Format wider = format;
    wider.scale = ScaleType::F32;
    limit.remedy = "; use a format with f32 scales (" + spell(wider) + ")";
  }
  return limit;
}

static std::string spellNumber(float value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.6g", double(value));
  return text;
}

static std::string place(int64_t row, int64_t column) {
  return "row " + std::to_string(row) + ", column " + std::to_string(column);
}

Status beyondType(const Format &format, float value, int64_t row,
                  int64_t column) {
  Limit limit = limitOf(format);
  std::string where = place(row, column), number = spellNumber(value);
  std::string text = format.isFloat()
                         ? "the value " + number + " at " + where + " is"
                         : "the values from " + where + " on, up to " + number +
                               ", need a scale in \"" + spell(format) + "\"";
  return Status(StatusCode::Infeasible, text + " beyond " + limit.name +
                                            ", whose largest is " +
                                            limit.largest + limit.remedy);
}

LostValue largestLost(const Format &format, const RowBlock &block,
                      const QuantizedRows &result) {
  LostValue lost;
  auto observe = [&](int64_t row, int64_t column) {
    float value = block.values[row * block.columns + column];
    if (std::fabs(value) > std::fabs(lost.value))
      lost = {value, block.firstRow + row, column};
  };
  if (format.isFloat()) {
    std::vector<float> stored(static_cast<size_t>(block.columns));
    for (int64_t row = 0; row < block.rows; ++row) {
      elementOf(format.element)
          .decode(result.codes + row * bytesPerRow(format, block.columns),
                  block.columns, stored.data());
      for (int64_t column = 0; column < block.columns; ++column)
        if (stored[column] == 0)
          observe(row, column);
    }
    return lost;
  }
  int64_t groups = groupsPerRow(format, block.columns),
          size = groupColumns(format, block.columns);
  std::vector<float> scales(static_cast<size_t>(groups));
  for (int64_t row = 0; row < block.rows; ++row) {
    loadScales(
        format,
        rowsFrom(format, {nullptr, result.scales, nullptr}, block.columns, row),
        block.columns, scales.data());
    for (int64_t group = 0; group < groups; ++group) {
      if (scales[size_t(group)] != 0)
        continue;
      int64_t end = std::min((group + 1) * size, block.columns);
      for (int64_t column = group * size; column < end; ++column)
        observe(row, column);
    }
  }
  return lost;
}

Status checkLost(const Format &format, const LostValue &lost,
                 const ValueRange &matrix) {
  if (std::fabs(lost.value) <= std::fabs(matrix.largestMagnitude) / 1024)
    return {};
  Limit limit = limitOf(format);
  std::string type = format.isFloat() ? limit.name + " ends"
                                      : "the " + limit.name + " scales of \"" +
                                            spell(format) + "\" end";
  return Status(StatusCode::Infeasible,
                "the value " + spellNumber(lost.value) + " at " +
                    place(lost.row, lost.column) + " would become zero: " +
                    type + " at " + limit.smallest + limit.remedy);
}

} // namespace qopt::quant
