// Arithmetic without weights: on elements, on rows, and by positions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Codes.h"
#include "Interpreter.h"
#include "dialects/Onnx/OnnxOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

#include <algorithm>

using namespace mlir;

namespace qopt::programs {

/// What functions of kernels are within, relative to their argument or 1:
/// lib/Kernels/README.md has 4e-6 for GPUs, the host's are f32's.
static double functionError(Precision precision) {
  return precision.gpu ? 4e-6 : 1e-6;
}

/// a op b, by the name of an operation on scalars or tensors.
static Real combined(Operation *op, Real a, Real b) {
  if (isa<arith::AddFOp, onnx::AddOp>(op))
    return a + b;
  return isa<arith::SubFOp, onnx::SubOp>(op) ? a - b : a * b;
}

/// Of equal shapes, or one a row of numbers for each row of the other.
qopt::Status Interpreter::binary(Operation *op) {
  const Bounded &a = of(op->getOperand(0)), &b = of(op->getOperand(1));
  Bounded result;
  const Bounded &larger = a.numbers.size() < b.numbers.size() ? b : a;
  result.shape = larger.shape;
  for (size_t i = 0; i < larger.numbers.size(); ++i)
    result.numbers.push_back(combined(op, a.numbers[i % a.numbers.size()],
                                      b.numbers[i % b.numbers.size()]));
  keep(op->getResult(0), std::move(result));
  return {};
}

/// One operation on the elements of two inputs, which are broadcast by their
/// maps.
qopt::Status Interpreter::elementwise(linalg::GenericOp op) {
  Operation &scalar = op.getBody()->front();
  bool known = op.getNumDpsInputs() == 2 &&
               op.getNumParallelLoops() == op.getNumLoops() &&
               op.getBody()->getOperations().size() == 2 &&
               isa<arith::AddFOp, arith::SubFOp, arith::MulFOp>(scalar);
  if (!known)
    return unknown(op);
  const Bounded *inputs[] = {&of(op.getDpsInputs()[0]),
                             &of(op.getDpsInputs()[1])};
  const Bounded &whole = *inputs[0];
  auto maps = op.getIndexingMapsArray();
  Bounded result;
  result.shape = whole.shape;
  for (size_t i = 0; i < whole.numbers.size(); ++i) {
    Real operands[2];
    for (size_t input : {0, 1}) {
      size_t place = 0, left = i;
      std::vector<int64_t> at(whole.shape.size());
      for (size_t axis = at.size(); axis-- > 0;) {
        at[axis] = int64_t(left) % whole.shape[axis];
        left /= size_t(whole.shape[axis]);
      }
      for (auto [axis, expression] :
           llvm::enumerate(maps[input].getResults())) {
        auto dim = dyn_cast<AffineDimExpr>(expression);
        place = place * size_t(inputs[input]->shape[axis]) +
                size_t(dim ? at[dim.getPosition()] : 0);
      }
      operands[input] = inputs[input]->numbers[place];
    }
    bool swapped = scalar.getOperand(0) != op.getBody()->getArgument(0);
    result.numbers.push_back(combined(&scalar, operands[swapped ? 1 : 0],
                                      operands[swapped ? 0 : 1]));
  }
  keep(op.getResult(0), std::move(result));
  return {};
}

qopt::Status Interpreter::softmax(Operation *op) {
  Bounded result = of(op->getOperand(0));
  for (int64_t row = 0; row < result.rows(); ++row) {
    Real *x = result.row(row);
    double most = x->value, least = most, error = 0, sum = 0;
    for (int64_t i = 0; i < result.columns(); ++i) {
      most = std::max(most, x[i].value);
      least = std::min(least, x[i].value);
      error = std::max(error, x[i].error);
    }
    for (int64_t i = 0; i < result.columns(); ++i)
      sum += std::exp(x[i].value - most);
    double relative = 2 * error + 8 * roundoff * (most - least + 1) +
                      functionError(precision) + sumError(result.columns());
    for (int64_t i = 0; i < result.columns(); ++i) {
      double share = std::exp(x[i].value - most) / sum;
      x[i] = {share, share * std::expm1(relative) + 0x1p-126};
    }
  }
  keep(op->getResult(0), std::move(result));
  return {};
}

/// The function and the most its slope can be.
static std::pair<double, double> valueAndSlope(ir::Function function,
                                               double x) {
  auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  switch (function) {
  case ir::Function::Silu:
    return {x * sigmoid(x), 1.1};
  case ir::Function::GeluErf:
    return {x / 2 * (1 + std::erf(x / std::sqrt(2))), 1.13};
  case ir::Function::GeluTanh:
    return {
        x / 2 *
            (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))),
        1.13};
  case ir::Function::GeluQuick:
    return {x * sigmoid(1.702 * x), 1.1};
  case ir::Function::Relu:
    return {std::max(x, 0.0), 1};
  case ir::Function::Tanh:
    return {std::tanh(x), 1};
  case ir::Function::Sigmoid:
    return {sigmoid(x), 0.25};
  }
  llvm_unreachable("every function has a formula");
}

Real Interpreter::apply(ir::Function function, Real x) const {
  auto [value, slope] = valueAndSlope(function, x.value);
  Real result{value, slope * x.error};
  result.add(functionError(precision) * std::max(1.0, std::abs(x.value)));
  return result;
}

qopt::Status Interpreter::activation(ir::ActivationOp op) {
  Bounded result = of(op.getX());
  for (Real &x : result.numbers)
    x = apply(op.getFunction(), x);
  keep(op.getResult(), std::move(result));
  return {};
}

qopt::Status Interpreter::gated(ir::GatedActivationOp op) {
  const Bounded &gate = of(op.getGate());
  const Bounded *up = op.getUp() ? &of(op.getUp()) : nullptr;
  int64_t width = up ? gate.columns() : gate.columns() / 2;
  Bounded result;
  result.shape = gate.shape;
  result.shape.back() = width;
  for (int64_t row = 0; row < gate.rows(); ++row)
    for (int64_t i = 0; i < width; ++i)
      result.numbers.push_back(
          apply(op.getFunction(), gate.row(row)[i]) *
          (up ? up->row(row)[i] : gate.row(row)[width + i]));
  keep(op.getResult(), std::move(result));
  return {};
}

/// A row less its mean where `centred`, divided by the root of its mean square.
static void normalise(Real *x, int64_t count, double epsilon, bool centred) {
  double own = sumError(count), most = 0;
  if (centred) {
    Real mean;
    for (int64_t i = 0; i < count; ++i) {
      mean = mean + x[i];
      most = std::max(most, x[i].most());
    }
    mean = {mean.value / double(count), mean.error / double(count)};
    mean.add(own * most);
    for (int64_t i = 0; i < count; ++i)
      x[i] = x[i] - mean;
  }
  double squares = 0, change = 0, lost = 0;
  for (int64_t i = 0; i < count; ++i) {
    squares += x[i].value * x[i].value;
    change = together(change, 2 * x[i].value * x[i].error);
    lost += x[i].error * x[i].error;
  }
  double mean = squares / double(count) + epsilon, root = std::sqrt(mean);
  // Of the mean of squares, half of it of its root. A row that its errors make
  // as much as its numbers has no bound.
  double relative = (change + lost) / double(count) / mean;
  if (relative > 0.5)
    relative = std::numeric_limits<double>::infinity();
  for (int64_t i = 0; i < count; ++i) {
    x[i] = {x[i].value / root, x[i].error / root * (1 + reach * relative)};
    x[i].add(std::abs(x[i].value) * (relative + own + 8 * roundoff));
  }
}

qopt::Status Interpreter::norm(Operation *op) {
  auto layer = dyn_cast<ir::LayerNormOp>(op);
  double epsilon = layer
                       ? layer.getEpsilon().convertToDouble()
                       : cast<ir::RmsNormOp>(op).getEpsilon().convertToDouble();
  Bounded result = of(op->getOperand(0));
  const Bounded &scale = of(op->getOperand(1));
  const Bounded *shift =
      layer && layer.getBias() ? &of(layer.getBias()) : nullptr;
  int64_t columns = result.columns();
  for (int64_t row = 0; row < result.rows(); ++row) {
    Real *x = result.row(row);
    normalise(x, columns, epsilon, bool(layer));
    // A scale of each head, or one of all.
    size_t first = size_t(row * columns) % scale.numbers.size();
    for (int64_t i = 0; i < columns; ++i) {
      x[i] = x[i] * scale.numbers[first + size_t(i)];
      if (shift)
        x[i] = x[i] + shift->numbers[first + size_t(i)];
      x[i].add(4 * roundoff * x[i].most());
    }
  }
  keep(op->getResult(0), std::move(result));
  return {};
}

qopt::Status Interpreter::quantize(ir::QuantizeOp op) {
  ir::QuantizedType type = op.getResult().getType();
  const quant::Format &format = type.getFormat();
  double given =
      type.getScale() ? type.getScale().getValue().convertToDouble() : 0;
  Bounded result = of(op.getX());
  int64_t group = format.groupSize ? format.groupSize : result.columns();
  for (int64_t row = 0; row < result.rows(); ++row)
    encode({result.row(row), size_t(result.columns())}, group, nullptr,
           [&](auto run) { return activationGrid(format, run, given); });
  known[op.getResult()] = std::move(result);
  return {};
}

qopt::Status Interpreter::rotaryTable(ir::RotaryTableOp op) {
  const Bounded &positions = of(op.getPositions()),
                &frequencies = of(op.getInvFreq());
  double scale = op.getScale().convertToDouble();
  Bounded cosines, sines;
  cosines.shape = positions.shape;
  cosines.shape.push_back(int64_t(frequencies.numbers.size()));
  for (const Real &position : positions.numbers)
    for (const Real &frequency : frequencies.numbers) {
      double angle = float(position.value) * float(frequency.value);
      cosines.numbers.push_back(
          {scale * std::cos(angle), 8 * roundoff * scale});
      sines.numbers.push_back({scale * std::sin(angle), 8 * roundoff * scale});
    }
  sines.shape = cosines.shape;
  keep(op.getCos(), std::move(cosines));
  keep(op.getSin(), std::move(sines));
  return {};
}

qopt::Status Interpreter::rotary(ir::RotaryOp op) {
  Bounded result = of(op.getX());
  const Bounded &cosines = of(op.getCos()), &sines = of(op.getSin());
  int64_t half = cosines.columns(),
          heads = result.shape[result.shape.size() - 2];
  for (int64_t row = 0; row < result.rows(); ++row) {
    Real *x = result.row(row);
    const Real *cosine = cosines.row(row / heads % cosines.rows()),
               *sine = sines.row(row / heads % sines.rows());
    for (int64_t i = 0; i < half; ++i) {
      Real &first = op.getInterleaved() ? x[2 * i] : x[i],
           &second = op.getInterleaved() ? x[2 * i + 1] : x[half + i];
      Real a = first, b = second;
      double size = 4 * roundoff * (a.most() + b.most());
      first = a * cosine[i] - b * sine[i];
      second = b * cosine[i] + a * sine[i];
      first.add(size);
      second.add(size);
    }
  }
  keep(op.getResult(), std::move(result));
  return {};
}

} // namespace qopt::programs
