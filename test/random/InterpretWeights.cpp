// Products with weights, and their rows.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Interpreter.h"
#include "lib/Driver/WeightEvaluator.h"
#include "lib/Quant/Element.h"
#include "lib/Quant/FloatConversion.h"

#include <algorithm>

using namespace mlir;

namespace qopt::programs {

/// The largest number that kernels take off or add to codes before they are
/// multiplied: on GPUs what the unpacking leaves on them
/// (lib/Kernels/SkinnyLinear/SkinnyLinearPack.h, Numbers).
static double largestTerm(const quant::Format &format, Precision precision) {
  const quant::Element &element = quant::elementOf(format.element);
  if (!element.isInteger())
    return 0;
  double codes = std::exp2(element.bits);
  if (!precision.gpu)
    return codes;
  return codes + (element.bits == 8 ? 1024 : std::exp2(4 + element.bits));
}

/// What a GPU's table, which is of 16 bits, adds to a weight whose code is one
/// of nf4's numbers: the same for each weight with that code, whatever the x
/// (lib/Kernels/SkinnyLinear/SkinnyLinearBook.h).
static double bookDrift(const quant::Format &format, double value, double scale,
                        Precision precision) {
  const quant::Element &element = quant::elementOf(format.element);
  if (!element.numbers || !precision.narrow || scale == 0)
    return 0;
  auto number = float(value / scale);
  float kept = precision.half
                   ? quant::halfToFloat(quant::floatToHalf(number))
                   : quant::bfloat16ToFloat(quant::floatToBfloat16(number));
  return (double(kept) - double(number)) * scale;
}

qopt::Status Interpreter::addRows(Value part, Weight &weight) const {
  auto evaluated = driver::evaluateWeight(part, /*threads=*/1);
  if (!evaluated.ok())
    return evaluated.status();
  const quant::Format &format = evaluated->format;
  int64_t columns = evaluated->columns,
          groups = quant::groupsPerRow(format, columns),
          group = quant::groupColumns(format, columns);
  std::vector<float> values(size_t(evaluated->rows * columns)),
      scales(size_t(std::max<int64_t>(groups, 1)), 0), zeros(scales);
  quant::dequantizeRows(format, evaluated->stored(), evaluated->rows, columns,
                        values.data());
  double term = largestTerm(format, precision);
  weight.alwaysRounded |= format.isGrouped() && format.groupSize == 16;
  for (int64_t row = 0; row < evaluated->rows; ++row) {
    quant::StoredRows one = evaluated->storedFrom(row);
    if (!format.isFloat()) {
      quant::loadScales(format, one, columns, scales.data());
      quant::loadZeros(format, one, columns, zeros.data());
    }
    for (int64_t k = 0; k < columns; ++k) {
      auto g = size_t(format.isFloat() ? 0 : k / group);
      double value = values[size_t(row * columns + k)],
             scale = std::abs(double(scales[g]));
      weight.values.push_back(value);
      weight.sizes.push_back(std::abs(value) +
                             scale * (term ? term + std::abs(zeros[g]) : 0));
      weight.drift.push_back(
          precision.gpu ? bookDrift(format, value, scale, precision) : 0);
      // RoundedWeight.h: a code less its zero point, times a scale, each
      // rounded, and what a fraction of the zero point adds.
      weight.rounding.push_back(
          format.isFloat() ? 0 : 3 * (std::abs(value) + scale));
    }
  }
  weight.rows += evaluated->rows;
  weight.columns = columns;
  return {};
}

StatusOr<const Interpreter::Weight *> Interpreter::weightOf(Value value) {
  auto [place, isNew] = weights.try_emplace(value);
  if (isNew)
    for (const driver::WeightPart &part : driver::partsOf(value))
      for (Value source : part.sources)
        QOPT_RETURN_IF_ERROR(addRows(source, place->second));
  return &place->second;
}

qopt::Status Interpreter::embedding(ir::EmbeddingOp op) {
  auto weight = weightOf(op.getWeight());
  if (!weight.ok())
    return weight.status();
  const Bounded &ids = of(op.getIds());
  Bounded result;
  result.shape = ids.shape;
  result.shape.push_back((*weight)->columns);
  for (const Real &id : ids.numbers)
    for (int64_t k = 0; k < (*weight)->columns; ++k) {
      auto place = size_t(int64_t(id.value) * (*weight)->columns + k);
      result.numbers.push_back(
          {(*weight)->values[place], 4 * roundoff * (*weight)->sizes[place]});
    }
  keep(op.getResult(), std::move(result));
  return {};
}

qopt::Status Interpreter::linear(ir::LinearOp op) {
  auto found = weightOf(op.getWeight());
  if (!found.ok())
    return found.status();
  const Weight &weight = **found;
  const Bounded &x = of(op.getX());
  const Bounded *bias = op.getBias() ? &of(op.getBias()) : nullptr,
                *residual = op.getResidual() ? &of(op.getResidual()) : nullptr;
  bool rounds = precision.gpu && (x.rows() > 64 || weight.alwaysRounded);
  double unit = rounds ? precision.narrow : 0,
         least = rounds && precision.half ? 0x1p-23 : 0,
         sums = sumError(weight.columns);
  Bounded result;
  result.shape = x.shape;
  result.shape.back() = weight.rows;
  result.numbers.resize(size_t(x.rows() * weight.rows));
  for (int64_t row = 0; row < x.rows(); ++row) {
    const Real *in = x.row(row);
    for (int64_t n = 0; n < weight.rows; ++n) {
      const double *w = &weight.values[size_t(n * weight.columns)],
                   *size = &weight.sizes[size_t(n * weight.columns)],
                   *loss = &weight.rounding[size_t(n * weight.columns)],
                   *drift = &weight.drift[size_t(n * weight.columns)];
      double sum = 0, squares = 0, terms = 0, drifted = 0;
      for (int64_t k = 0; k < weight.columns; ++k) {
        double x = in[k].value, carried = in[k].error * w[k],
               own = x * (unit / 2 * loss[k] + least), term = x * size[k];
        sum += x * w[k];
        squares += carried * carried + own * own;
        terms += term * term;
        drifted += x * drift[k];
      }
      Real y{sum, std::sqrt(squares)};
      y.add(sums * std::sqrt(terms));
      y.add(std::abs(drifted));
      if (bias)
        y = y + bias->numbers[size_t(n)];
      if (residual)
        y = y + residual->row(row)[n];
      y.add(4 * roundoff * y.most());
      result.row(row)[n] = y;
    }
  }
  keep(op.getResult(), std::move(result));
  return {};
}

} // namespace qopt::programs
