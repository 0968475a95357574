// Shape functions of reductions, scans and normalisations.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/OnnxOps.h"
#include "dialects/Onnx/ShapeTransfer.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace qopt::onnx {

/// The one element that a vector of known elements reduces to.
static AffineExpr reduceContent(Operation *op, const Dims &content,
                                SymbolicDims &dims) {
  AffineExpr result;
  for (AffineExpr element : content) {
    if (!element)
      return {};
    if (!result)
      result = element;
    else if (isa<ReduceProdOp>(op))
      result = dims.multiply(result, element);
    else if (isa<ReduceSumOp>(op))
      result = dims.add(result, element);
    else if (isa<ReduceMaxOp>(op))
      result = dims.maximum(result, element);
    else if (isa<ReduceMinOp>(op))
      result = dims.minimum(result, element);
    else
      return {};
    if (!result)
      return {};
  }
  return result;
}

template <typename ReduceOp>
static Status inferReduce(ShapeTransfer &transfer, ReduceOp op) {
  const TensorFacts &data = transfer.facts(0);
  SmallVector<int64_t> axes;
  if (transfer.present(1)) {
    auto given = transfer.axes(1, data.dims.size());
    if (!given)
      return given.status();
    axes = *given;
  }
  if (axes.empty() && !op.getNoopWithEmptyAxes())
    axes = llvm::to_vector(llvm::seq<int64_t>(0, data.dims.size()));
  Dims sizes;
  for (auto [index, size] : llvm::enumerate(data.dims)) {
    if (!llvm::is_contained(axes, static_cast<int64_t>(index)))
      sizes.push_back(size);
    else if (op.getKeepdims())
      sizes.push_back(transfer.constant(1));
  }
  std::optional<Dims> content;
  if (data.content && data.dims.size() == 1 && axes.size() == 1)
    if (AffineExpr element = reduceContent(op, *data.content, transfer.dims))
      content = Dims{element};
  return transfer.result(0, data.elementType, sizes, content);
}

template <typename ArgOp>
static Status inferArg(ShapeTransfer &transfer, ArgOp op) {
  const TensorFacts &data = transfer.facts(0);
  StatusOr<int64_t> axis = transfer.axis(op.getAxis(), data.dims.size());
  if (!axis)
    return axis.status();
  transfer.require(ir::SizeRelation::AtMost, transfer.constant(1),
                   data.dims[*axis]);
  Dims sizes = data.dims;
  if (op.getKeepdims())
    sizes[*axis] = transfer.constant(1);
  else
    sizes.erase(sizes.begin() + *axis);
  return transfer.result(0, IntegerType::get(op.getContext(), 64), sizes);
}

static Status inferTopK(ShapeTransfer &transfer, TopKOp op) {
  const TensorFacts &data = transfer.facts(0);
  StatusOr<int64_t> axis = transfer.axis(op.getAxis(), data.dims.size());
  if (!axis)
    return axis.status();
  std::optional<Dims> count = transfer.content(1);
  AffineExpr size = count && count->size() == 1 ? count->front() : AffineExpr();
  transfer.require(ir::SizeRelation::AtMost, size, data.dims[*axis]);
  Dims sizes = data.dims;
  sizes[*axis] = size ? size : transfer.unknown();
  QOPT_RETURN_IF_ERROR(transfer.result(0, data.elementType, sizes));
  return transfer.result(1, IntegerType::get(op.getContext(), 64), sizes);
}

static Status sameAsData(ShapeTransfer &transfer, std::optional<int64_t> axis) {
  const TensorFacts &data = transfer.facts(0);
  if (axis) {
    StatusOr<int64_t> counted = transfer.axis(*axis, data.dims.size());
    if (!counted)
      return counted.status();
  }
  return transfer.result(0, data.elementType, data.dims);
}

/// Scale and bias must broadcast into the normalised axes.
static Status checkScale(ShapeTransfer &transfer, unsigned operand,
                         int64_t axis) {
  if (!transfer.present(operand))
    return {};
  const Dims &data = transfer.facts(0).dims;
  const Dims &scale = transfer.facts(operand).dims;
  if (scale.size() > data.size())
    return transfer.error("scale " + transfer.spell(scale) +
                          " has more axes than x " + transfer.spell(data));
  for (size_t i = 1; i <= scale.size(); ++i) {
    auto own = constantValue(scale[scale.size() - i]);
    auto full = constantValue(data[data.size() - i]);
    if (own && full && *own != *full && *own != 1)
      return transfer.error("scale or bias of shape " + transfer.spell(scale) +
                            " does not fit x of shape " + transfer.spell(data));
    transfer.requireFits(scale[scale.size() - i], data[data.size() - i]);
  }
  return {};
}

/// y as x; the statistics (f32) have size 1 from `axis` on.
static Status inferNorm(ShapeTransfer &transfer, int64_t wanted,
                        unsigned lastScale) {
  const TensorFacts &data = transfer.facts(0);
  StatusOr<int64_t> axis = transfer.axis(wanted, data.dims.size());
  if (!axis)
    return axis.status();
  for (unsigned i = 1; i <= lastScale; ++i)
    QOPT_RETURN_IF_ERROR(checkScale(transfer, i, *axis));
  Dims reduced = data.dims;
  for (size_t i = *axis; i < reduced.size(); ++i)
    reduced[i] = transfer.constant(1);
  QOPT_RETURN_IF_ERROR(transfer.result(0, data.elementType, data.dims));
  Type f32 = Float32Type::get(transfer.op->getContext());
  for (unsigned i = 1; i < transfer.op->getNumResults(); ++i)
    QOPT_RETURN_IF_ERROR(transfer.result(i, f32, reduced));
  return {};
}

static std::optional<Status> inferNormOp(ShapeTransfer &t) {
  return TypeSwitch<Operation *, std::optional<Status>>(t.op)
      .Case<SoftmaxOp, LogSoftmaxOp, LpNormalizationOp>(
          [&](auto op) { return sameAsData(t, op.getAxis()); })
      .Case([&](GroupNormalizationOp) { return sameAsData(t, 1); })
      .Case([&](CumSumOp) { return sameAsData(t, std::nullopt); })
      .Case([&](LayerNormalizationOp op) {
        return inferNorm(t, op.getAxis(), 2);
      })
      .Case<RMSNormalizationOp, MSSimplifiedLayerNormalizationOp>(
          [&](auto op) { return inferNorm(t, op.getAxis(), 1); })
      .Default([](Operation *) { return std::nullopt; });
}

std::optional<Status> inferReduceOrNorm(ShapeTransfer &t) {
  return TypeSwitch<Operation *, std::optional<Status>>(t.op)
      .Case<ReduceL1Op, ReduceL2Op, ReduceLogSumExpOp, ReduceMaxOp,
            ReduceMeanOp, ReduceMinOp, ReduceProdOp, ReduceSumOp,
            ReduceSumSquareOp>([&](auto op) { return inferReduce(t, op); })
      .Case<ArgMaxOp, ArgMinOp>([&](auto op) { return inferArg(t, op); })
      .Case([&](TopKOp op) { return inferTopK(t, op); })
      .Default([&](Operation *) { return inferNormOp(t); });
}

} // namespace qopt::onnx
