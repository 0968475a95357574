// Constants, moves and the walk over a function.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Interpreter.h"
#include "dialects/Onnx/OnnxOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace qopt::programs {

std::vector<int64_t> Batch::positions() const {
  std::vector<int64_t> result;
  for (const Slice &slice : slices)
    for (int64_t i = 0; i < slice.tokens; ++i)
      result.push_back(slice.first + i);
  return result;
}

qopt::Status Interpreter::unknown(Operation *op) const {
  return Status(StatusCode::Unsupported,
                "the reference does not know \"" +
                    op->getName().getStringRef().str() +
                    "\"; test/random/Interpreter.cpp has those that it knows");
}

void Interpreter::keep(Value result, Bounded value) {
  Type type = getElementTypeOrSelf(result.getType());
  if (isa<FloatType>(type))
    for (Real &x : value.numbers)
      x = rounded(x, type);
  known[result] = std::move(value);
}

std::vector<int64_t> Interpreter::shapeOf(Value value, size_t elements) const {
  auto type = cast<ShapedType>(value.getType());
  std::vector<int64_t> shape(type.getShape());
  int64_t others = 1;
  for (int64_t size : shape)
    others *= ShapedType::isDynamic(size) ? 1 : size;
  for (int64_t &size : shape)
    if (ShapedType::isDynamic(size))
      size = int64_t(elements) / others;
  return shape;
}

qopt::Status Interpreter::constant(Operation *op, ElementsAttr value) {
  auto dense = dyn_cast<DenseElementsAttr>(value);
  if (!dense || !isa<FloatType>(dense.getElementType()))
    return unknown(op);
  Bounded result;
  result.shape.assign(dense.getType().getShape().begin(),
                      dense.getType().getShape().end());
  for (APFloat number : dense.getValues<APFloat>()) {
    bool lossy;
    number.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &lossy);
    result.numbers.push_back({number.convertToDouble(), 0});
  }
  known[op->getResult(0)] = std::move(result); // as it is: nothing is rounded
  return {};
}

qopt::Status Interpreter::reshape(Operation *op) {
  Bounded result = of(op->getOperand(0));
  result.shape = shapeOf(op->getResult(0), result.numbers.size());
  known[op->getResult(0)] = std::move(result);
  return {};
}

qopt::Status Interpreter::transpose(Operation *op) {
  const Bounded &x = of(op->getOperand(0));
  ArrayRef<int64_t> order = cast<onnx::TransposeOp>(op).getPerm();
  size_t rank = order.size();
  Bounded result;
  std::vector<int64_t> strides(rank, 1);
  for (size_t i = rank - 1; i-- > 0;)
    strides[i] = strides[i + 1] * x.shape[i + 1];
  for (int64_t axis : order)
    result.shape.push_back(x.shape[size_t(axis)]);
  std::vector<int64_t> at(rank, 0);
  for (size_t i = 0; i < x.numbers.size(); ++i) {
    int64_t place = 0;
    for (size_t axis = 0; axis < rank; ++axis)
      place += at[axis] * strides[size_t(order[axis])];
    result.numbers.push_back(x.numbers[size_t(place)]);
    for (size_t axis = rank; axis-- > 0 && ++at[axis] == result.shape[axis];)
      at[axis] = 0;
  }
  known[op->getResult(0)] = std::move(result);
  return {};
}

/// Columns of rows.
qopt::Status Interpreter::slice(Operation *op) {
  auto slice = cast<tensor::ExtractSliceOp>(op);
  const Bounded &x = of(slice.getSource());
  int64_t offset = slice.getStaticOffsets().back(),
          width = slice.getType().getShape().back();
  Bounded result;
  result.shape = x.shape;
  result.shape.back() = width;
  for (int64_t row = 0; row < x.rows(); ++row)
    result.numbers.insert(result.numbers.end(), x.row(row) + offset,
                          x.row(row) + offset + width);
  known[slice.getResult()] = std::move(result);
  return {};
}

qopt::Status Interpreter::selectRows(ir::SelectRowsOp op) {
  const Bounded &x = of(op.getX());
  Bounded result;
  result.shape = {int64_t(batch->selected.size()), x.columns()};
  for (int64_t row : batch->selected)
    result.numbers.insert(result.numbers.end(), x.row(row),
                          x.row(row) + x.columns());
  known[op.getResult()] = std::move(result);
  return {};
}

qopt::Status Interpreter::positions(ir::PositionsOp op) {
  Bounded result;
  for (int64_t position : batch->positions())
    result.numbers.push_back({double(position), 0});
  result.shape = {int64_t(result.numbers.size())};
  known[op.getResult()] = std::move(result);
  return {};
}

qopt::Status Interpreter::run(Operation *op) {
  return llvm::TypeSwitch<Operation *, Status>(op)
      .Case([&](arith::ConstantOp constant) {
        auto elements = dyn_cast<ElementsAttr>(constant.getValue());
        return elements ? this->constant(op, elements) : Status();
      })
      .Case([&](onnx::ConstantOp constant) {
        return this->constant(op, constant.getValue());
      })
      .Case<onnx::CastOp, ir::DequantizeOp>([&](Operation *) {
        keep(op->getResult(0), of(op->getOperand(0)));
        return Status();
      })
      .Case<tensor::ExpandShapeOp, tensor::CollapseShapeOp>(
          [&](Operation *) { return reshape(op); })
      .Case([&](onnx::TransposeOp) { return transpose(op); })
      .Case([&](tensor::ExtractSliceOp) { return slice(op); })
      .Case([&](ir::SelectRowsOp op) { return selectRows(op); })
      .Case([&](ir::PositionsOp op) { return positions(op); })
      .Case([&](linalg::GenericOp op) { return elementwise(op); })
      .Case<arith::AddFOp, arith::SubFOp, arith::MulFOp, onnx::AddOp,
            onnx::SubOp, onnx::MulOp>([&](Operation *) { return binary(op); })
      .Case([&](onnx::SoftmaxOp) { return softmax(op); })
      .Case([&](ir::ActivationOp op) { return activation(op); })
      .Case([&](ir::GatedActivationOp op) { return gated(op); })
      .Case<ir::RmsNormOp, ir::LayerNormOp>(
          [&](Operation *) { return norm(op); })
      .Case([&](ir::QuantizeOp op) { return quantize(op); })
      .Case([&](ir::RotaryTableOp op) { return rotaryTable(op); })
      .Case([&](ir::RotaryOp op) { return rotary(op); })
      .Case([&](ir::LinearOp op) { return linear(op); })
      .Case([&](ir::EmbeddingOp op) { return embedding(op); })
      .Case([&](ir::KVAppendOp op) { return append(op); })
      .Case([&](ir::CachedAttentionOp op) { return cachedAttention(op); })
      .Case([&](ir::AttentionOp op) { return attention(op); })
      // Sizes, and weights, which are evaluated where they are read.
      .Case<tensor::DimOp, tensor::EmptyOp, ir::BatchDimOp, ir::WeightOp,
            ir::QuantizeWeightOp, ir::ConcatWeightsOp, func::ReturnOp>(
          [](Operation *) { return Status(); })
      .Default([&](Operation *other) { return unknown(other); });
}

qopt::Status Interpreter::runBody() {
  for (Operation &op : function.getBody().front())
    QOPT_RETURN_IF_ERROR(run(&op));
  return {};
}

StatusOr<Bounded>
Interpreter::run(const std::map<std::string, Bounded> &inputs) {
  known.clear();
  for (BlockArgument argument : function.getArguments()) {
    auto name = function.getArgAttrOfType<StringAttr>(argument.getArgNumber(),
                                                      "qopt.name");
    auto found = name ? inputs.find(name.str()) : inputs.end();
    if (found == inputs.end())
      return Status(StatusCode::InvalidArgument,
                    "argument " + std::to_string(argument.getArgNumber()) +
                        " of the function has no name of an input");
    known[argument] = found->second;
  }
  QOPT_RETURN_IF_ERROR(runBody());
  return of(function.getBody().front().getTerminator()->getOperand(0));
}

StatusOr<Bounded> Interpreter::run(const Batch &step) {
  known.clear();
  batch = &step;
  Bounded tokens;
  tokens.shape = {int64_t(step.tokens.size())};
  for (int32_t token : step.tokens)
    tokens.numbers.push_back({double(token), 0});
  known[function.getArgument(0)] = std::move(tokens);
  QOPT_RETURN_IF_ERROR(runBody());
  return of(function.getBody().front().getTerminator()->getOperand(0));
}

} // namespace qopt::programs
