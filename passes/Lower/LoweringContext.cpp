// The building blocks of LowerOnnx: sizes, structured ops with their regions,
// element conversions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/QOptOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StructuredOpsUtils.h"
#include "passes/Lower/OnnxLowering.h"
#include "passes/Lower/ScalarMath.h"

using namespace mlir;
using namespace qopt;

void LoweringContext::begin(Operation *op) {
  b.setInsertionPoint(op);
  loc = op->getLoc();
  reason.clear();
}

OpFoldResult LoweringContext::size(Value original, unsigned dim) {
  RankedTensorType type = typeOf(original);
  if (!type.isDynamicDim(dim))
    return b.getIndexAttr(type.getDimSize(dim));
  if (OpFoldResult known = sizes.build(b, loc, shapes.dim(original, dim)))
    return known;
  // A value of another dialect, or one that is lowered, knows its own size.
  Value value = lowered(original);
  if (isa_and_present<onnx::OnnxDialect>(
          value.getDefiningOp() ? value.getDefiningOp()->getDialect()
                                : nullptr))
    return {};
  return b.createOrFold<tensor::DimOp>(loc, value, dim);
}

bool LoweringContext::hasSizes(Value original) {
  Operation *source = lowered(original).getDefiningOp();
  if (!source || !isa<onnx::OnnxDialect>(source->getDialect()))
    return true;
  RankedTensorType type = typeOf(original);
  for (int64_t dim = 0; dim < type.getRank(); ++dim)
    if (type.isDynamicDim(dim) && !sizes.canBuild(b, shapes.dim(original, dim)))
      return false;
  return true;
}

Value LoweringContext::sizeValue(Value original, unsigned dim) {
  OpFoldResult known = size(original, dim);
  return known ? index(known) : Value();
}

bool LoweringContext::isOne(Value original, unsigned dim) const {
  return typeOf(original).getDimSize(dim) == 1;
}

bool LoweringContext::isSame(Value a, unsigned i, Value b, unsigned j) const {
  int64_t left = typeOf(a).getDimSize(i), right = typeOf(b).getDimSize(j);
  if (!ShapedType::isDynamic(left) || !ShapedType::isDynamic(right))
    return left == right;
  return shapes.sameDim(a, i, b, j);
}

std::optional<SmallVector<OpFoldResult>>
LoweringContext::content(Value original) {
  const onnx::TensorFacts *facts = shapes.lookup(original);
  if (!facts || !facts->content)
    return std::nullopt;
  SmallVector<OpFoldResult> elements;
  for (AffineExpr expr : *facts->content) {
    OpFoldResult element = sizes.build(b, loc, expr);
    if (!element)
      return std::nullopt;
    elements.push_back(element);
  }
  return elements;
}

std::optional<SmallVector<int64_t>> LoweringContext::integers(Value original) {
  auto constants = onnx::constantIntegers(original);
  if (constants)
    return constants;
  auto elements = content(original);
  if (!elements)
    return std::nullopt;
  SmallVector<int64_t> numbers;
  for (OpFoldResult element : *elements) {
    std::optional<int64_t> number = getConstantIntValue(element);
    if (!number)
      return std::nullopt;
    numbers.push_back(*number);
  }
  return numbers;
}

Value LoweringContext::empty(Value original, Type elementType) {
  SmallVector<OpFoldResult> dims;
  for (int64_t dim = 0; dim < rankOf(original); ++dim) {
    dims.push_back(size(original, dim));
    if (!dims.back())
      return {};
  }
  Value result = tensor::EmptyOp::create(
      b, loc, dims, elementType ? elementType : elementOf(original));
  // A size that is a number here and unknown in the type, or the reverse.
  auto type =
      typeOf(original).clone(elementType ? elementType : elementOf(original));
  return castTo(result, type);
}

LogicalResult LoweringContext::finish(Value original, Value value) {
  replace(original, castTo(value, typeOf(original)));
  return success();
}

static SmallVector<utils::IteratorType> allParallel(int64_t rank) {
  return SmallVector<utils::IteratorType>(rank, utils::IteratorType::parallel);
}

LogicalResult LoweringContext::generate(Value original, ElementBody body) {
  Value init = empty(original);
  if (!init)
    return fail("the size of its result depends on the contents of a tensor");
  int64_t rank = rankOf(original);
  auto op = linalg::GenericOp::create(
      b, loc, init.getType(), ValueRange{}, init,
      b.getMultiDimIdentityMap(rank), allParallel(rank),
      [&](OpBuilder &, Location, ValueRange) {});
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(op.getBody());
  SmallVector<Value> indices;
  for (int64_t dim = 0; dim < rank; ++dim)
    indices.push_back(linalg::IndexOp::create(b, loc, dim));
  Value value = store(body(indices), elementOf(original));
  linalg::YieldOp::create(b, loc, value);
  b.setInsertionPointAfter(op);
  return finish(original, op.getResult(0));
}

Value LoweringContext::compute(Value like, ArrayRef<Value> operands,
                               ArrayRef<AffineMap> maps, Type elementType,
                               PointwiseBody body) {
  Value init = empty(like, elementType);
  if (!init)
    return {};
  SmallVector<AffineMap> allMaps(maps);
  allMaps.push_back(b.getMultiDimIdentityMap(rankOf(like)));
  auto op = linalg::GenericOp::create(
      b, loc, init.getType(), operands, init, allMaps,
      allParallel(rankOf(like)), [&](OpBuilder &, Location, ValueRange) {});
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(op.getBody());
  SmallVector<Scalar> elements;
  for (Value argument : op.getBody()->getArguments().drop_back())
    elements.push_back(load(argument));
  Value value = store(body(elements).value, elementType);
  linalg::YieldOp::create(b, loc, value);
  return op.getResult(0);
}

/// A constant of one element is written into the region instead of read.
static std::optional<TypedAttr> splatElement(Value value) {
  DenseElementsAttr elements;
  if (!matchPattern(value, m_Constant(&elements)) || !elements.isSplat())
    return std::nullopt;
  auto element = elements.getSplatValue<TypedAttr>();
  if (auto integer = dyn_cast<IntegerAttr>(element))
    if (!integer.getType().isSignlessInteger())
      return IntegerAttr::get(
          IntegerType::get(value.getContext(),
                           integer.getType().getIntOrFloatBitWidth()),
          integer.getValue());
  return element;
}

LogicalResult LoweringContext::pointwise(Value original,
                                         ArrayRef<Access> operands,
                                         PointwiseBody body) {
  SmallVector<Value> inputs;
  SmallVector<AffineMap> maps;
  SmallVector<SmallVector<Value>> bounds(operands.size());
  for (auto [operand, bound] : llvm::zip(operands, bounds)) {
    if (splatElement(operand.original))
      continue;
    if (operand.map) {
      inputs.push_back(lowered(operand.original));
      maps.push_back(operand.map);
      continue;
    }
    for (int64_t dim = 0; dim < rankOf(operand.original); ++dim) {
      bound.push_back(sizeValue(operand.original, dim));
      if (!bound.back())
        return fail(
            "the size of an operand depends on the contents of a tensor");
    }
  }
  auto merge = [&](ArrayRef<Scalar> loaded) {
    SmallVector<Scalar> elements;
    SmallVector<Value> indices;
    for (auto [operand, bound] : llvm::zip(operands, bounds)) {
      if (auto splat = splatElement(operand.original)) {
        bool isUnsigned = elementOf(operand.original).isUnsignedInteger();
        elements.push_back(
            {arith::ConstantOp::create(b, loc, *splat), isUnsigned});
        continue;
      }
      if (operand.map) {
        elements.push_back(loaded.front());
        loaded = loaded.drop_front();
        continue;
      }
      // A dimension that may or may not be 1: decide when it runs.
      int64_t rank = rankOf(original), own = rankOf(operand.original);
      if (indices.empty())
        for (int64_t dim = 0; dim < rank; ++dim)
          indices.push_back(linalg::IndexOp::create(b, loc, dim));
      SmallVector<Value> position;
      for (int64_t dim = 0; dim < own; ++dim) {
        Value isOne = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq,
                                            bound[dim], index(1));
        position.push_back(arith::SelectOp::create(b, loc, isOne, index(0),
                                                   indices[rank - own + dim]));
      }
      elements.push_back({element(operand.original, position),
                          elementOf(operand.original).isUnsignedInteger()});
    }
    return body(elements);
  };
  Value value = compute(original, inputs, maps, elementOf(original), merge);
  if (!value)
    return fail("the size of its result depends on the contents of a tensor");
  return finish(original, value);
}

Value LoweringContext::reduce(Value like, ArrayRef<bool> reduced,
                              ArrayRef<Value> operands,
                              ArrayRef<AffineMap> operandMaps, TypedAttr start,
                              ReductionBody body) {
  SmallVector<OpFoldResult> dims;
  SmallVector<AffineExpr> kept;
  SmallVector<utils::IteratorType> kinds;
  for (auto [dim, gone] : llvm::enumerate(reduced)) {
    kinds.push_back(gone ? utils::IteratorType::reduction
                         : utils::IteratorType::parallel);
    kept.push_back(gone ? b.getAffineConstantExpr(0) : b.getAffineDimExpr(dim));
    dims.push_back(gone ? b.getIndexAttr(1) : size(like, dim));
    if (!dims.back())
      return {};
  }
  int64_t rank = reduced.size();
  Value init = tensor::EmptyOp::create(b, loc, dims, start.getType());
  Value scalar = arith::ConstantOp::create(b, loc, start);
  init = linalg::FillOp::create(b, loc, scalar, init).getResult(0);
  SmallVector<AffineMap> maps(operandMaps);
  maps.push_back(AffineMap::get(rank, 0, kept, b.getContext()));
  auto op = linalg::GenericOp::create(
      b, loc, init.getType(), operands, init, maps, kinds,
      [&](OpBuilder &, Location, ValueRange) {});
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(op.getBody());
  SmallVector<Scalar> elements;
  for (Value argument : op.getBody()->getArguments().drop_back())
    elements.push_back(load(argument));
  Value next = body(elements, op.getBody()->getArguments().back());
  linalg::YieldOp::create(b, loc, next);
  return op.getResult(0);
}

/// All dimensions of a tensor as one group, for collapse_shape and
/// expand_shape.
static SmallVector<ReassociationIndices> oneGroup(int64_t rank) {
  if (rank == 0)
    return {};
  ReassociationIndices group;
  for (int64_t dim = 0; dim < rank; ++dim)
    group.push_back(dim);
  return {group};
}

static RankedTensorType flattened(RankedTensorType type) {
  int64_t count =
      type.hasStaticShape() ? type.getNumElements() : ShapedType::kDynamic;
  return RankedTensorType::get({count}, type.getElementType());
}

/// The type of a tensor of these sizes.
static RankedTensorType exactType(ArrayRef<OpFoldResult> sizes, Type element) {
  SmallVector<int64_t> shape;
  SmallVector<Value> unknown;
  dispatchIndexOpFoldResults(sizes, unknown, shape);
  return RankedTensorType::get(shape, element);
}

Value LoweringContext::castTo(Value value, RankedTensorType type) {
  return value.getType() == type
             ? value
             : tensor::CastOp::create(b, loc, type, value).getResult();
}

Value LoweringContext::view(Value value, Value original) {
  auto from = cast<RankedTensorType>(value.getType());
  RankedTensorType to = typeOf(original);
  SmallVector<OpFoldResult> dims;
  for (int64_t dim = 0; dim < to.getRank(); ++dim) {
    dims.push_back(size(original, dim));
    if (!dims.back())
      return {};
  }
  // Through the vector of all elements; a rank 0 tensor is one step away from
  // any tensor of one element.
  if (from.getRank() == 0 && to.getRank() == 0)
    return value;
  if (to.getRank() == 0) {
    auto ones = RankedTensorType::get(SmallVector<int64_t>(from.getRank(), 1),
                                      from.getElementType());
    value = castTo(value, ones);
    return tensor::CollapseShapeOp::create(b, loc, to, value,
                                           SmallVector<ReassociationIndices>{});
  }
  if (from.getRank() == 0) {
    auto ones = RankedTensorType::get(SmallVector<int64_t>(to.getRank(), 1),
                                      to.getElementType());
    value = tensor::ExpandShapeOp::create(
        b, loc, ones, value, SmallVector<ReassociationIndices>{},
        SmallVector<OpFoldResult>(to.getRank(), b.getIndexAttr(1)));
    return castTo(value, to);
  }
  // Sizes that are numbers here are numbers in the result's type, which is what
  // expand_shape asks; a cast gives the type that users know.
  RankedTensorType exact = exactType(dims, to.getElementType());
  if (from.getRank() > 1)
    value = tensor::CollapseShapeOp::create(b, loc, flattened(from), value,
                                            oneGroup(from.getRank()));
  value = castTo(value, flattened(exact));
  if (to.getRank() > 1)
    value = tensor::ExpandShapeOp::create(b, loc, exact, value,
                                          oneGroup(to.getRank()), dims);
  return castTo(value, to);
}

Value LoweringContext::element(Value original, Indices indices) {
  if (auto splat = splatElement(original))
    return arith::ConstantOp::create(b, loc, *splat);
  return load(tensor::ExtractOp::create(b, loc, lowered(original), indices))
      .value;
}

/// Whether the indices are constants and `sizes` numbers that allow them.
static bool areInRange(Value indices, ArrayRef<Value> sizes) {
  DenseIntElementsAttr elements;
  if (!matchPattern(indices, m_Constant(&elements)))
    return false;
  SmallVector<int64_t> limits;
  for (Value size : sizes) {
    std::optional<int64_t> limit = getConstantIntValue(size);
    if (!limit)
      return false;
    limits.push_back(*limit);
  }
  for (auto [number, element] : llvm::enumerate(elements.getValues<APInt>())) {
    int64_t index = element.getSExtValue();
    int64_t limit = limits[number % limits.size()];
    if (index < -limit || index >= limit)
      return false;
  }
  return true;
}

Value LoweringContext::checkedIndices(Value original, ArrayRef<Value> sizes) {
  Value indices = lowered(original);
  if (areInRange(indices, sizes))
    return indices;
  return ir::CheckIndicesOp::create(b, loc, indices.getType(), indices, sizes);
}

Value LoweringContext::checkedStarts(Value original, Value size) {
  Value starts = lowered(original);
  return ir::CheckIndicesOp::create(b, loc, starts.getType(), starts, size,
                                    /*from_zero=*/true);
}

Value LoweringContext::placeOf(Value places, Indices at, Value size) {
  ScalarMath math(*this);
  Value raw = math.convert({element(places, at)}, b.getIndexType());
  Value zero = index(0);
  Value negative = math.compare(ScalarMath::Order::Less, {raw}, {zero});
  Value place = math.select(negative, math.add({raw}, {size}), raw);
  Value last = math.subtract({size}, {index(1)});
  return math.maximum({math.minimum({place}, {last})}, {zero});
}

AffineMap LoweringContext::broadcastMap(Value operand, Value result) {
  int64_t rank = rankOf(result), own = rankOf(operand);
  SmallVector<AffineExpr> exprs;
  for (int64_t dim = 0; dim < own; ++dim) {
    int64_t place = rank - own + dim;
    if (isOne(operand, dim))
      exprs.push_back(b.getAffineConstantExpr(0));
    else if (isSame(operand, dim, result, place) ||
             !typeOf(operand).isDynamicDim(dim))
      exprs.push_back(b.getAffineDimExpr(place));
    else
      return {};
  }
  return AffineMap::get(rank, 0, exprs, b.getContext());
}

Value LoweringContext::index(int64_t value) {
  return arith::ConstantIndexOp::create(b, loc, value);
}

Value LoweringContext::index(OpFoldResult value) {
  return getValueOrCreateConstantIndexOp(b, loc, value);
}

Scalar LoweringContext::load(Value element) {
  auto type = dyn_cast<IntegerType>(element.getType());
  if (!type || type.isSignless())
    return {element, false};
  Type signless = IntegerType::get(b.getContext(), type.getWidth());
  Value value = UnrealizedConversionCastOp::create(b, loc, signless, element)
                    .getResult(0);
  return {value, type.isUnsigned()};
}

Value LoweringContext::store(Value value, Type elementType) {
  if (value.getType() == elementType)
    return value;
  return UnrealizedConversionCastOp::create(b, loc, elementType, value)
      .getResult(0);
}
