// The translation of each kind of operation. Everything is demanded from the
// logits backwards; what the logits do not need (masks, shapes, present
// outputs) is never looked at.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Raise/RaggedRewriter.h"
#include "dialects/Onnx/OnnxOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/Raise/OnnxValues.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace qopt::passes {

static RankedTensorType typeOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

/// [T, features…] in f32.
static RankedTensorType tokenType(OpBuilder &builder,
                                  ArrayRef<int64_t> features) {
  SmallVector<int64_t> shape{ShapedType::kDynamic};
  llvm::append_range(shape, features);
  return RankedTensorType::get(shape, builder.getF32Type());
}

/// The axes of `value` that describe one token, when a token has `size`
/// numbers: the shortest static tail that holds so many, and a single head
/// before it.
static std::optional<SmallVector<int64_t>> featuresOf(Value value,
                                                      int64_t size) {
  ArrayRef<int64_t> shape = typeOf(value).getShape();
  int64_t product = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    if (ShapedType::isDynamic(shape[i]))
      return std::nullopt;
    product *= shape[i];
    if (product == size && i > 0)
      return SmallVector<int64_t>(
          shape.drop_front(i > 2 && shape[i - 1] == 1 ? i - 1 : i));
  }
  return std::nullopt;
}

static int64_t sizeOfToken(Value ragged) {
  return ShapedType::getNumElements(typeOf(ragged).getShape().drop_front());
}

FailureOr<std::pair<Value, Value>> RaggedRewriter::rewrite() {
  FailureOr<Value> logits = translateSelected(parts.logits);
  if (failed(logits))
    return failure();
  return std::pair(*logits, cache);
}

FailureOr<Value> RaggedRewriter::unsupported(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op)
    emitRemark(value.getLoc(),
               "not a decoder: an input other than token ids, attention_mask, "
               "positions and past keys and values reaches the logits");
  else
    op->emitRemark() << "not a decoder: \"" << op->getName()
                     << "\" on the way to the logits has no form for a ragged "
                        "batch";
  return failure();
}

FailureOr<Value> RaggedRewriter::translate(Value value) {
  if (Value result = known.lookup(value))
    return result;
  FailureOr<Value> result = translateNew(value);
  if (succeeded(result))
    known[value] = *result;
  return result;
}

FailureOr<Value> RaggedRewriter::translateNew(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op)
    return unsupported(value);
  return llvm::TypeSwitch<Operation *, MaybeValue>(op)
      .Case([&](ir::AttentionOp attention) {
        return translateAttention(attention);
      })
      .Case([&](ir::TokenWiseOpInterface) {
        return translateTokenWise(op, value);
      })
      .Case([&](ir::WeightOp weight) -> MaybeValue {
        return builder.clone(*weight)->getResult(0);
      })
      .Case([&](onnx::ConstantOp) { return translateConstant(value); })
      .Case([&](onnx::CastOp cast) -> MaybeValue {
        // The ragged form computes in f32 throughout.
        bool floats =
            isa<FloatType>(getElementTypeOrSelf(cast.getX().getType())) &&
            isa<FloatType>(getElementTypeOrSelf(value.getType()));
        return floats ? translate(cast.getX()) : unsupported(value);
      })
      .Case<onnx::ReshapeOp, onnx::UnsqueezeOp, onnx::SqueezeOp,
            onnx::FlattenOp>([&](Operation *reshape) {
        return translateReshape(value, reshape->getOperand(0));
      })
      .Case<onnx::SplitOp, onnx::SliceOp>(
          [&](Operation *) { return translateSplit(value); })
      .Case([&](onnx::GatherOp gather) { return translateGather(gather); })
      .Case<onnx::AddOp, onnx::SubOp, onnx::MulOp, onnx::DivOp, onnx::TanhOp,
            onnx::NegOp, onnx::MinOp, onnx::MaxOp, onnx::SigmoidOp,
            onnx::ReluOp>([&](Operation *elementwise) {
        return translateElementwise(elementwise);
      })
      .Default([&](Operation *) { return unsupported(value); });
}

FailureOr<Value> RaggedRewriter::translateSelected(Value value) {
  // Rows are selected as early as nothing but token-wise work follows: the head
  // and the last norm then see only the rows whose logits were asked for.
  Operation *op = value.getDefiningOp();
  Value source;
  if (auto wise = dyn_cast_or_null<ir::TokenWiseOpInterface>(op)) {
    int64_t tokenOperands = 0;
    for (OpOperand &operand : op->getOpOperands())
      if (wise.getFeatureRank(operand)) {
        source = operand.get();
        ++tokenOperands;
      }
    if (tokenOperands != 1 || isa<ir::EmbeddingOp, ir::RotaryTableOp>(op))
      source = {};
  } else if (auto cast = dyn_cast_or_null<onnx::CastOp>(op)) {
    return translateSelected(cast.getX());
  }
  if (source && source.hasOneUse()) {
    FailureOr<Value> rows = translateSelected(source);
    if (failed(rows))
      return failure();
    known[source] = *rows;
    return translateNew(value);
  }
  FailureOr<Value> all = translate(value);
  if (failed(all))
    return failure();
  return ir::SelectRowsOp::create(builder, value.getLoc(), all->getType(), *all,
                                  batch)
      .getResult();
}

/// Each of integers [T] plus a number.
static Value plus(OpBuilder &builder, Location loc, Value x, int64_t number) {
  Value empty = tensor::EmptyOp::create(builder, loc,
                                        tensor::getMixedSizes(builder, loc, x),
                                        builder.getI32Type());
  AffineMap map = builder.getMultiDimIdentityMap(1);
  auto generic = linalg::GenericOp::create(
      builder, loc, x.getType(), x, empty, {map, map},
      utils::IteratorType::parallel,
      [&](OpBuilder &b, Location at, ValueRange in) {
        Value offset = arith::ConstantOp::create(
            b, at, b.getI32IntegerAttr(static_cast<int32_t>(number)));
        linalg::YieldOp::create(
            b, at, arith::AddIOp::create(b, at, in[0], offset).getResult());
      });
  return generic.getResult(0);
}

FailureOr<Value> RaggedRewriter::translateIds(Value value) {
  Value root = value;
  while (Operation *op = root.getDefiningOp()) {
    if (parts.positions.contains(root) ||
        !isa<onnx::ReshapeOp, onnx::CastOp, onnx::UnsqueezeOp, onnx::SqueezeOp>(
            op))
      break;
    root = op->getOperand(0);
  }
  if (root == parts.tokens)
    return tokens;
  auto found = parts.positions.find(root);
  if (found == parts.positions.end())
    return unsupported(value);
  Value &positions = known[root];
  if (!positions) {
    auto type =
        RankedTensorType::get({ShapedType::kDynamic}, builder.getI32Type());
    positions = ir::PositionsOp::create(builder, root.getLoc(), type, batch);
    if (found->second != 0)
      positions = plus(builder, root.getLoc(), positions, found->second);
  }
  return positions;
}

FailureOr<Value> RaggedRewriter::translateConstant(Value value) {
  auto constant = value.getDefiningOp<onnx::ConstantOp>();
  auto data = cast<TypedAttr>(constant.getValue());
  return arith::ConstantOp::create(builder, value.getLoc(), data).getResult();
}

FailureOr<Value> RaggedRewriter::translateTokenWise(Operation *op,
                                                    Value value) {
  auto wise = cast<ir::TokenWiseOpInterface>(op);
  IRMapping mapping;
  // Axes between the token's and the features': the heads of a norm per head.
  std::optional<SmallVector<int64_t>> between;
  for (OpOperand &operand : op->getOpOperands()) {
    Value source = operand.get();
    bool ids = isa<IntegerType>(getElementTypeOrSelf(source.getType()));
    FailureOr<Value> result = ids ? translateIds(source) : translate(source);
    if (failed(result))
      return failure();
    if (auto rank = wise.getFeatureRank(operand); rank && !ids) {
      if (typeOf(*result).getRank() < *rank + 1)
        return unsupported(value);
      SmallVector<int64_t> axes(
          typeOf(*result).getShape().drop_front().drop_back(*rank));
      if (between.value_or(axes) != axes ||
          (!axes.empty() && isa<ir::RotaryOp>(op)))
        return unsupported(value);
      between = axes;
    }
    mapping.map(source, *result);
  }
  Operation *clone = builder.clone(*op, mapping);
  for (OpResult result : clone->getResults()) {
    auto type = cast<RankedTensorType>(result.getType());
    SmallVector<int64_t> features = between.value_or(SmallVector<int64_t>());
    llvm::append_range(features,
                       type.getShape().take_back(wise.getResultFeatureRank()));
    result.setType(tokenType(builder, features));
    known[op->getResult(result.getResultNumber())] = result;
  }
  return known[value];
}

FailureOr<Value> RaggedRewriter::translateReshape(Value value, Value source) {
  FailureOr<Value> x = translate(source);
  if (failed(x))
    return failure();
  auto features = featuresOf(value, sizeOfToken(*x));
  if (!features)
    return unsupported(value);
  FailureOr<Value> result = regrouped(*x, *features);
  return succeeded(result) ? result : unsupported(value);
}

FailureOr<Value> RaggedRewriter::regrouped(Value x,
                                           ArrayRef<int64_t> features) {
  RankedTensorType from = typeOf(x), to = tokenType(builder, features);
  if (from == to)
    return x;
  std::optional<SmallVector<ReassociationIndices>> groups =
      getReassociationIndicesForReshape(from, to);
  Location loc = x.getLoc();
  if (!groups) { // through [T, all features]
    RankedTensorType flat = tokenType(builder, {sizeOfToken(x)});
    auto down = getReassociationIndicesForReshape(from, flat);
    auto up = getReassociationIndicesForReshape(flat, to);
    if (!down || !up)
      return failure();
    Value rows = tensor::CollapseShapeOp::create(builder, loc, flat, x, *down);
    return tensor::ExpandShapeOp::create(builder, loc, to, rows, *up)
        .getResult();
  }
  if (from.getRank() > to.getRank())
    return tensor::CollapseShapeOp::create(builder, loc, to, x, *groups)
        .getResult();
  return tensor::ExpandShapeOp::create(builder, loc, to, x, *groups)
      .getResult();
}

Value RaggedRewriter::sliceOf(Value x, int64_t offset, int64_t size) {
  RankedTensorType from = typeOf(x);
  SmallVector<int64_t> features(from.getShape().drop_front());
  features.back() = size;
  Location loc = x.getLoc();
  int64_t rank = from.getRank();
  SmallVector<OpFoldResult> offsets(rank, builder.getIndexAttr(0)), sizes,
      strides(rank, builder.getIndexAttr(1));
  offsets.back() = builder.getIndexAttr(offset);
  sizes.push_back(tensor::getMixedSize(builder, loc, x, 0));
  for (int64_t feature : features)
    sizes.push_back(builder.getIndexAttr(feature));
  return tensor::ExtractSliceOp::create(builder, loc,
                                        tokenType(builder, features), x,
                                        offsets, sizes, strides)
      .getResult();
}

FailureOr<Value> RaggedRewriter::translateSlice(Value value, Value source,
                                                int64_t offset) {
  FailureOr<Value> x = translate(source);
  if (failed(x))
    return failure();
  int64_t size = typeOf(value).getShape().back();
  if (ShapedType::isDynamic(size))
    return unsupported(value);
  return sliceOf(*x, offset, size);
}

/// The axis and those behind it as one, of which the place is a slice.
FailureOr<Value> RaggedRewriter::translateGather(onnx::GatherOp op) {
  Value value = op.getResult();
  std::optional<double> index = onnx::constantScalar(op.getIndices());
  if (!index || typeOf(op.getIndices()).getRank() != 0)
    return unsupported(value);
  FailureOr<Value> x = translate(op.getData());
  if (failed(x))
    return failure();
  ArrayRef<int64_t> source = typeOf(op.getData()).getShape(),
                    features = typeOf(*x).getShape().drop_front();
  auto rank = static_cast<int64_t>(source.size());
  int64_t axis = op.getAxis() + (op.getAxis() < 0 ? rank : 0);
  auto behind = static_cast<size_t>(rank - axis);
  if (behind > features.size() ||
      features.take_back(behind) != source.take_back(behind))
    return unsupported(value);
  ArrayRef<int64_t> ahead = features.drop_back(behind),
                    inner = features.take_back(behind - 1);
  int64_t size = ShapedType::getNumElements(inner),
          places = features[ahead.size()];
  auto place = static_cast<int64_t>(*index);
  place += place < 0 ? places : 0;
  if (place < 0 || place >= places)
    return unsupported(value);
  SmallVector<int64_t> joined(ahead), result(ahead);
  joined.push_back(places * size);
  llvm::append_range(result, inner);
  FailureOr<Value> flat = regrouped(*x, joined);
  if (failed(flat))
    return unsupported(value);
  FailureOr<Value> parted =
      regrouped(sliceOf(*flat, place * size, size), result);
  return succeeded(parted) ? parted : unsupported(value);
}

FailureOr<Value> RaggedRewriter::translateSplit(Value value) {
  std::optional<int64_t> offset = onnx::offsetInLastAxis(value);
  return offset ? translateSlice(value, value.getDefiningOp()->getOperand(0),
                                 *offset)
                : unsupported(value);
}

static Value number(OpBuilder &b, Location loc, float value) {
  return arith::ConstantOp::create(b, loc, b.getF32FloatAttr(value));
}

/// One element of an elementwise op.
static Value scalarOp(OpBuilder &b, Location loc, Operation *op,
                      ValueRange in) {
  return llvm::TypeSwitch<Operation *, Value>(op)
      .Case([&](onnx::AddOp) {
        return arith::AddFOp::create(b, loc, in[0], in[1]);
      })
      .Case([&](onnx::SubOp) {
        return arith::SubFOp::create(b, loc, in[0], in[1]);
      })
      .Case([&](onnx::MulOp) {
        return arith::MulFOp::create(b, loc, in[0], in[1]);
      })
      .Case([&](onnx::DivOp) {
        return arith::DivFOp::create(b, loc, in[0], in[1]);
      })
      .Case([&](onnx::TanhOp) { return math::TanhOp::create(b, loc, in[0]); })
      .Case([&](onnx::NegOp) { return arith::NegFOp::create(b, loc, in[0]); })
      .Case([&](onnx::MinOp) {
        return arith::MinimumFOp::create(b, loc, in[0], in[1]);
      })
      .Case([&](onnx::MaxOp) {
        return arith::MaximumFOp::create(b, loc, in[0], in[1]);
      })
      .Case([&](onnx::ReluOp) {
        return arith::MaximumFOp::create(b, loc, in[0], number(b, loc, 0));
      })
      .Case([&](onnx::SigmoidOp) -> Value { // 1 / (1 + exp(-x))
        Value one = number(b, loc, 1);
        Value power =
            math::ExpOp::create(b, loc, arith::NegFOp::create(b, loc, in[0]));
        return arith::DivFOp::create(b, loc, one,
                                     arith::AddFOp::create(b, loc, one, power));
      });
}

FailureOr<Value> RaggedRewriter::translateElementwise(Operation *op) {
  Location loc = op->getLoc();
  Value result = op->getResult(0);
  if (op->getNumOperands() > 2)
    return unsupported(result);
  SmallVector<Value> inputs;
  SmallVector<AffineMap> maps;
  // Tensors of tokens, constant vectors of features, and scalars.
  Value shapeSource;
  for (Value operand : op->getOperands()) {
    FailureOr<Value> x = translate(operand);
    if (failed(x))
      return failure();
    inputs.push_back(*x);
    if (!operand.getDefiningOp<onnx::ConstantOp>() &&
        (!shapeSource || typeOf(*x).getRank() > typeOf(shapeSource).getRank()))
      shapeSource = *x;
  }
  if (!shapeSource)
    return unsupported(result);
  RankedTensorType type = typeOf(shapeSource);
  bool hasConstants = isa<onnx::ReluOp, onnx::SigmoidOp>(op);
  if (!hasConstants &&
      llvm::all_of(inputs, [&](Value x) { return x.getType() == type; }))
    return scalarOp(builder, loc, op, inputs);
  int64_t rank = type.getRank();
  for (Value input : inputs) {
    RankedTensorType from = typeOf(input);
    SmallVector<AffineExpr> exprs;
    bool broadcasts = from.getRank() <= rank;
    for (int64_t i = 0; broadcasts && i < from.getRank(); ++i) {
      int64_t axis = rank - from.getRank() + i;
      bool one = from.getDimSize(i) == 1;
      exprs.push_back(one ? builder.getAffineConstantExpr(0)
                          : builder.getAffineDimExpr(axis));
      broadcasts = one || from.getDimSize(i) == type.getDimSize(axis);
    }
    if (!broadcasts)
      return unsupported(result);
    maps.push_back(AffineMap::get(rank, 0, exprs, builder.getContext()));
  }
  maps.push_back(builder.getMultiDimIdentityMap(rank));
  SmallVector<OpFoldResult> sizes =
      tensor::getMixedSizes(builder, loc, shapeSource);
  Value empty =
      tensor::EmptyOp::create(builder, loc, sizes, builder.getF32Type());
  SmallVector<utils::IteratorType> iterators(rank,
                                             utils::IteratorType::parallel);
  auto generic = linalg::GenericOp::create(
      builder, loc, type, inputs, empty, maps, iterators,
      [&](OpBuilder &b, Location at, ValueRange in) {
        SmallVector<Value> wide;
        for (Value x : in.drop_back())
          wide.push_back(x.getType().isF32()
                             ? x
                             : arith::ExtFOp::create(b, at, b.getF32Type(), x));
        linalg::YieldOp::create(b, at, scalarOp(b, at, op, wide));
      });
  return generic.getResult(0);
}

FailureOr<Value> RaggedRewriter::translateHeads(Value value) {
  if (auto transpose = value.getDefiningOp<onnx::TransposeOp>())
    if (transpose.getPerm() == ArrayRef<int64_t>{0, 2, 1, 3})
      return translate(transpose.getData());
  return unsupported(value);
}

FailureOr<Value> RaggedRewriter::translateAttention(ir::AttentionOp op) {
  const DecoderLayer *layer = nullptr;
  int64_t index = 0;
  for (const DecoderLayer &candidate : parts.layers) {
    if (candidate.attention == op) {
      layer = &candidate;
      break;
    }
    index += !candidate.source;
  }
  if (!layer)
    return unsupported(op.getResult());
  FailureOr<Value> q = translate(op.getQ());
  if (layer->source && succeeded(q))
    return ir::CachedAttentionOp::create(
               builder, op.getLoc(), q->getType(), *q, cache, batch,
               builder.getI64IntegerAttr(*layer->source), op.getScaleAttr(),
               IntegerAttr(), op.getSoftcapAttr(), DenseF32ArrayAttr(),
               DenseF32ArrayAttr(), builder.getUnitAttr())
        .getResult();
  if (layer->source)
    return failure();
  FailureOr<Value> k = translateHeads(layer->newKey);
  FailureOr<Value> v = translateHeads(layer->newValue);
  if (failed(q) || failed(k) || failed(v))
    return failure();
  cache =
      ir::KVAppendOp::create(builder, op.getLoc(), cache.getType(), cache, *k,
                             *v, batch, builder.getI64IntegerAttr(index));
  IntegerAttr window =
      layer->window ? builder.getI64IntegerAttr(*layer->window) : IntegerAttr();
  auto numbers = [&](ArrayRef<float> values) {
    return values.empty() ? DenseF32ArrayAttr()
                          : builder.getDenseF32ArrayAttr(values);
  };
  DenseF32ArrayAttr slopes = numbers(layer->slopes),
                    biases = numbers(layer->biases);
  return ir::CachedAttentionOp::create(
             builder, op.getLoc(), q->getType(), *q, cache, batch,
             builder.getI64IntegerAttr(index), op.getScaleAttr(), window,
             op.getSoftcapAttr(), slopes, biases, UnitAttr())
      .getResult();
}

} // namespace qopt::passes
