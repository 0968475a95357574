// Shape functions of operators that view, join and make tensors.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/OnnxOps.h"
#include "dialects/Onnx/ShapeTransfer.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

using namespace mlir;

namespace qopt::onnx {

static Status inferShape(ShapeTransfer &transfer, ShapeOp op) {
  const Dims &sizes = transfer.facts(0).dims;
  int64_t rank = sizes.size();
  auto clamp = [&](int64_t place) {
    return std::clamp<int64_t>(place < 0 ? place + rank : place, 0, rank);
  };
  int64_t start = clamp(op.getStart());
  int64_t end = clamp(op.getEnd().value_or(rank));
  Dims content;
  for (int64_t i = start; i < end; ++i)
    content.push_back(sizes[i]);
  Type i64 = IntegerType::get(op.getContext(), 64);
  int64_t count = content.size();
  return transfer.result(0, i64, {transfer.constant(count)},
                         std::move(content));
}

static Status inferSize(ShapeTransfer &transfer, SizeOp op) {
  AffineExpr product = transfer.constant(1);
  for (AffineExpr size : transfer.facts(0).dims)
    product = transfer.dims.multiply(product, size);
  return transfer.result(0, IntegerType::get(op.getContext(), 64), {},
                         Dims{product});
}

static Status inferConcat(ShapeTransfer &transfer, ConcatOp op) {
  if (op.getInputs().empty())
    return transfer.error("there is no operand; expected at least one");
  const TensorFacts &first = transfer.facts(0);
  StatusOr<int64_t> axis = transfer.axis(op.getAxis(), first.dims.size());
  if (!axis)
    return axis.status();
  Dims sizes = first.dims;
  Dims content;
  bool followed = sizes.size() == 1;
  for (unsigned i = 0; i < op->getNumOperands(); ++i) {
    const TensorFacts &part = transfer.facts(i);
    if (part.dims.size() != sizes.size() ||
        part.elementType != first.elementType)
      return transfer.error("operand " + Twine(i) +
                            " differs from the first in rank or element type");
    for (int64_t d = 0; d < static_cast<int64_t>(sizes.size()); ++d) {
      if (d == *axis) {
        if (i > 0)
          sizes[d] = transfer.dims.add(sizes[d], part.dims[d]);
        continue;
      }
      auto left = constantValue(sizes[d]), right = constantValue(part.dims[d]);
      if (left && right && *left != *right)
        return transfer.error(
            "operand " + Twine(i) + " of shape " + transfer.spell(part.dims) +
            " does not fit the first, " + transfer.spell(first.dims));
      transfer.require(ir::SizeRelation::Equal, sizes[d], part.dims[d]);
      if (right)
        sizes[d] = part.dims[d];
    }
    std::optional<int64_t> count = smallCount(part.dims);
    followed = followed && count;
    for (int64_t e = 0; followed && e < *count; ++e)
      content.push_back(part.content ? (*part.content)[e] : AffineExpr());
  }
  return transfer.result(0, first.elementType, sizes,
                         followed ? std::optional(content) : std::nullopt);
}

static Status inferConstantOfShape(ShapeTransfer &transfer,
                                   ConstantOfShapeOp op) {
  std::optional<int64_t> rank = transfer.length(0);
  if (!rank)
    return transfer.error("the length of the shape operand is not known");
  std::optional<Dims> target = transfer.content(0);
  Dims sizes;
  for (int64_t i = 0; i < *rank; ++i) {
    AffineExpr size = target ? (*target)[i] : AffineExpr();
    sizes.push_back(size ? size : transfer.unknown());
  }
  std::optional<Dims> content;
  std::optional<int64_t> count = smallCount(sizes);
  auto dense = dyn_cast<DenseIntElementsAttr>(op.getValue());
  if (count && dense && dense.getNumElements() == 1)
    content =
        Dims(*count,
             transfer.constant((*dense.value_begin<APInt>()).getSExtValue()));
  return transfer.result(0, op.getValue().getElementType(), sizes, content);
}

static Status inferExpand(ShapeTransfer &transfer) {
  const TensorFacts &data = transfer.facts(0);
  std::optional<int64_t> rank = transfer.length(1);
  if (!rank)
    return transfer.error("the length of the shape operand is not known");
  std::optional<Dims> known = transfer.content(1);
  Dims target;
  for (int64_t i = 0; i < *rank; ++i)
    target.push_back(known ? (*known)[i] : AffineExpr());
  size_t full = std::max(target.size(), data.dims.size());
  Dims sizes;
  for (size_t i = 0; i < full; ++i) {
    AffineExpr own = transfer.constant(1), asked = transfer.constant(1);
    if (i + data.dims.size() >= full)
      own = data.dims[i + data.dims.size() - full];
    if (i + target.size() >= full)
      asked = target[i + target.size() - full];
    if (!asked) // a known size other than 1 can only stay
      asked = constantValue(own).value_or(1) != 1 ? own : transfer.unknown();
    AffineExpr size = transfer.dims.broadcast(own, asked);
    if (constantValue(own) != 1 && constantValue(asked) != 1)
      transfer.require(ir::SizeRelation::Broadcast, own, asked);
    if (!size)
      return transfer.error("the shape " + transfer.spell(data.dims) +
                            " does not expand to " + transfer.spell(target));
    sizes.push_back(size);
  }
  std::optional<Dims> content;
  std::optional<int64_t> count = smallCount(sizes);
  if (count && data.content && data.content->size() == 1)
    content = Dims(*count, data.content->front());
  return transfer.result(0, data.elementType, sizes, content);
}

/// The sizes that a reshape asks for; null where they must be inferred.
static StatusOr<Dims> reshapeTarget(ShapeTransfer &transfer, ReshapeOp op,
                                    int64_t rank, int &inferred) {
  const Dims &data = transfer.facts(0).dims;
  std::optional<Dims> target = transfer.content(1);
  Dims sizes;
  int unknowns = 0;
  for (int64_t i = 0; i < rank; ++i) {
    AffineExpr size = target ? (*target)[i] : AffineExpr();
    std::optional<int64_t> value = constantValue(size);
    if (value == 0 && !op.getAllowzero()) {
      if (i >= static_cast<int64_t>(data.size()))
        return transfer.error("shape element " + Twine(i) +
                              " copies an axis that data " +
                              transfer.spell(data) + " does not have");
      size = data[i];
    } else if (value && *value < -1) {
      return transfer.error("shape element " + Twine(i) + " is " +
                            Twine(*value) + "; expected -1 or a size");
    } else if (value == -1 || !size) {
      ++unknowns;
      inferred = i;
      size = {};
    }
    sizes.push_back(size);
  }
  if (unknowns > 1) {
    inferred = -1;
    if (target && llvm::count_if(*target, [](AffineExpr size) {
                    return constantValue(size) == -1;
                  }) > 1)
      return transfer.error("the shape has more than one -1");
  }
  return sizes;
}

static std::optional<int64_t> countElements(ArrayRef<AffineExpr> sizes) {
  int64_t count = 1;
  for (AffineExpr size : sizes) {
    std::optional<int64_t> value = constantValue(size);
    if (!value || llvm::MulOverflow(count, *value, count))
      return std::nullopt;
  }
  return count;
}

static Status inferReshape(ShapeTransfer &transfer, ReshapeOp op) {
  const TensorFacts &data = transfer.facts(0);
  std::optional<int64_t> rank = transfer.length(1);
  if (!rank)
    return transfer.error("the length of the shape operand is not known");
  int inferred = -1;
  StatusOr<Dims> target = reshapeTarget(transfer, op, *rank, inferred);
  if (!target)
    return target.status();
  Dims sizes = *target;
  auto mismatch = [&] {
    return transfer.error("data of shape " + transfer.spell(data.dims) +
                          " cannot be reshaped to " + transfer.spell(*target));
  };
  if (inferred >= 0) {
    Dims others;
    for (int64_t i = 0; i < *rank; ++i)
      if (i != inferred)
        others.push_back(sizes[i]);
    bool empty = llvm::any_of(
        others, [](AffineExpr size) { return constantValue(size) == 0; });
    sizes[inferred] = empty ? transfer.unknown()
                            : transfer.dims.exactQuotient(data.dims, others);
    if (!sizes[inferred])
      return mismatch();
    AffineExpr whole = transfer.product(data.dims);
    AffineExpr rest = transfer.product(others);
    if (!empty && whole != transfer.dims.multiply(rest, sizes[inferred]))
      transfer.require(ir::SizeRelation::MultipleOf, whole, rest);
  }
  for (AffineExpr &size : sizes)
    if (!size)
      size = transfer.unknown();
  auto before = countElements(data.dims), after = countElements(sizes);
  if (before && after && *before != *after)
    return mismatch();
  if (inferred < 0)
    transfer.require(ir::SizeRelation::Equal, transfer.product(data.dims),
                     transfer.product(sizes));
  return transfer.result(0, data.elementType, sizes, data.content);
}

static Status inferFlatten(ShapeTransfer &transfer, FlattenOp op) {
  const TensorFacts &data = transfer.facts(0);
  int64_t rank = data.dims.size();
  int64_t axis = op.getAxis() < 0 ? op.getAxis() + rank : op.getAxis();
  if (axis < 0 || axis > rank)
    return transfer.error("axis " + Twine(op.getAxis()) + " is out of range");
  AffineExpr rows = transfer.constant(1), columns = transfer.constant(1);
  for (int64_t i = 0; i < rank; ++i) {
    AffineExpr &side = i < axis ? rows : columns;
    side = transfer.dims.multiply(side, data.dims[i]);
  }
  return transfer.result(0, data.elementType, {rows, columns}, data.content);
}

static Status inferSqueeze(ShapeTransfer &transfer) {
  const TensorFacts &data = transfer.facts(0);
  SmallVector<int64_t> dropped;
  if (transfer.present(1)) {
    auto axes = transfer.axes(1, data.dims.size());
    if (!axes)
      return axes.status();
    dropped = *axes;
  } else {
    for (auto [index, size] : llvm::enumerate(data.dims)) {
      if (!constantValue(size))
        return Status(StatusCode::Unsupported,
                      "without axes, every size must be known; got " +
                          transfer.spell(data.dims));
      if (constantValue(size) == 1)
        dropped.push_back(index);
    }
  }
  Dims sizes;
  for (auto [index, size] : llvm::enumerate(data.dims)) {
    if (!llvm::is_contained(dropped, static_cast<int64_t>(index)))
      sizes.push_back(size);
    else if (constantValue(size).value_or(1) != 1)
      return transfer.error("axis " + Twine(index) + " of " +
                            transfer.spell(data.dims) + " is not of size 1");
    else
      transfer.require(ir::SizeRelation::Equal, size, transfer.constant(1));
  }
  return transfer.result(0, data.elementType, sizes, data.content);
}

static Status inferUnsqueeze(ShapeTransfer &transfer) {
  const TensorFacts &data = transfer.facts(0);
  auto given = transfer.integers(1);
  int64_t rank = data.dims.size() + (given ? given->size() : 0);
  auto axes = transfer.axes(1, rank);
  if (!axes)
    return axes.status();
  Dims sizes;
  const AffineExpr *next = data.dims.begin();
  for (int64_t i = 0; i < rank; ++i)
    sizes.push_back(llvm::is_contained(*axes, i) ? transfer.constant(1)
                                                 : *next++);
  return transfer.result(0, data.elementType, sizes, data.content);
}

static Status inferTranspose(ShapeTransfer &transfer, TransposeOp op) {
  const TensorFacts &data = transfer.facts(0);
  ArrayRef<int64_t> perm = op.getPerm();
  SmallVector<int64_t> sorted(perm);
  llvm::sort(sorted);
  if (sorted != llvm::to_vector(llvm::seq<int64_t>(0, data.dims.size())))
    return transfer.error("perm is no permutation of the axes of " +
                          transfer.spell(data.dims));
  Dims sizes;
  for (int64_t axis : perm)
    sizes.push_back(data.dims[axis]);
  bool same = llvm::is_sorted(perm);
  return transfer.result(0, data.elementType, sizes,
                         same ? data.content : std::nullopt);
}

/// How many elements a Range of floats has, max(⌈(limit − start) / delta⌉, 0),
/// where its operands are constants.
static std::optional<int64_t> countOfFloats(Operation *op) {
  std::optional<double> bounds[3];
  for (unsigned i = 0; i < 3; ++i) {
    Value operand = op->getOperand(i);
    while (auto cast = operand.getDefiningOp<CastOp>())
      operand = cast.getX();
    bounds[i] = constantScalar(operand);
    if (!bounds[i] || !isa<FloatType>(getElementTypeOrSelf(operand.getType())))
      return std::nullopt;
  }
  double count = std::ceil((*bounds[1] - *bounds[0]) / *bounds[2]);
  if (!(std::abs(count) < 1e15))
    return std::nullopt;
  return static_cast<int64_t>(std::max(count, 0.0));
}

static Status inferRange(ShapeTransfer &transfer) {
  if (std::optional<int64_t> count = countOfFloats(transfer.op))
    return transfer.result(0, transfer.facts(0).elementType,
                           {transfer.constant(*count)});
  AffineExpr bounds[3];
  for (unsigned i = 0; i < 3; ++i)
    if (std::optional<Dims> content = transfer.content(i))
      bounds[i] = content->size() == 1 ? content->front() : AffineExpr();
  AffineExpr size;
  std::optional<int64_t> step = constantValue(bounds[2]);
  if (step == 0)
    return transfer.error("the step is 0");
  auto difference = bounds[0] && bounds[1] && step
                        ? transfer.dims.subtract(bounds[1], bounds[0])
                        : AffineExpr();
  if (auto count = constantValue(difference))
    size = transfer.constant(std::max<int64_t>(
        0, step > 0 ? llvm::divideCeilSigned(*count, *step)
                    : llvm::divideCeilSigned(-*count, -*step)));
  else if (difference && step == 1)
    size = transfer.dims.maximum(difference, transfer.constant(0));
  if (!size)
    size = transfer.unknown();
  std::optional<Dims> content;
  std::optional<int64_t> count = smallCount(size);
  if (count && bounds[0] && step) {
    content.emplace();
    for (int64_t i = 0; i < *count; ++i)
      content->push_back(
          transfer.dims.add(bounds[0], transfer.constant(i * *step)));
  }
  return transfer.result(0, transfer.facts(0).elementType, {size}, content);
}

static Status sameAsOperand(ShapeTransfer &transfer) {
  const TensorFacts &data = transfer.facts(0);
  return transfer.result(0, data.elementType, data.dims, data.content);
}

static Status inferDropout(ShapeTransfer &transfer, DropoutOp op) {
  QOPT_RETURN_IF_ERROR(sameAsOperand(transfer));
  return transfer.result(1, IntegerType::get(op.getContext(), 1),
                         transfer.facts(0).dims);
}

static Status inferTrilu(ShapeTransfer &transfer) {
  const TensorFacts &data = transfer.facts(0);
  if (data.dims.size() < 2)
    return transfer.error("data has rank " + Twine(data.dims.size()) +
                          "; expected 2 or more");
  return transfer.result(0, data.elementType, data.dims);
}

std::optional<Status> inferShapeOp(ShapeTransfer &t) {
  return TypeSwitch<Operation *, std::optional<Status>>(t.op)
      .Case([&](ShapeOp op) { return inferShape(t, op); })
      .Case([&](SizeOp op) { return inferSize(t, op); })
      .Case([&](ConcatOp op) { return inferConcat(t, op); })
      .Case([&](ConstantOfShapeOp op) { return inferConstantOfShape(t, op); })
      .Case([&](ExpandOp) { return inferExpand(t); })
      .Case([&](ReshapeOp op) { return inferReshape(t, op); })
      .Case([&](FlattenOp op) { return inferFlatten(t, op); })
      .Case([&](SqueezeOp) { return inferSqueeze(t); })
      .Case([&](UnsqueezeOp) { return inferUnsqueeze(t); })
      .Case([&](TransposeOp op) { return inferTranspose(t, op); })
      .Case([&](RangeOp) { return inferRange(t); })
      .Case([&](IdentityOp) { return sameAsOperand(t); })
      .Case([&](DropoutOp op) { return inferDropout(t, op); })
      .Case([&](TriluOp) { return inferTrilu(t); })
      .Default([](Operation *) { return std::nullopt; });
}

} // namespace qopt::onnx
