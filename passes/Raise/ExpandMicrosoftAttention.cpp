// The attentions, embeddings, tables and products that onnxruntime's optimizer
// fuses, written with standard operators; see ExpandMicrosoft.cpp. Shapes: B
// sequences, S queries, T keys, N heads, D channels of a head.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/OnnxDialect.h"
#include "dialects/Onnx/RaisingLimits.h"
#include "passes/Raise/ExpandMicrosoft.h"
#include "passes/Raise/OnnxBuilder.h"
#include "passes/Raise/OnnxValues.h"

using namespace mlir;

namespace qopt::onnx {
namespace {

/// What MultiHeadAttention and Attention attend with. Absent values are null.
struct Operands {
  Value q, k, v; ///< [B, N, S or T, D]
  Value pastKey = {}, pastValue = {};
  Value padding =
      {};          ///< lengths [B], or 1 where a key is seen: [B, T], [B, S, T]
  Value bias = {}; ///< added to the scores
  double filter = 0; ///< added where `padding` hides
  FloatAttr scale = {};
  bool causal = false;
};

/// The scores' mask as floats to be added. A key that padding hides is not
/// lost: where all are, the file's filter value leaves them equal.
Value maskOf(OnnxBuilder &b, const Operands &operands) {
  Type type = OnnxBuilder::elementOf(operands.q);
  if (!operands.padding)
    return operands.bias;
  Type i64 = b.builder.getI64Type();
  Value padding = b.cast(operands.padding, i64), seen;
  if (int64_t rank = typeOf(padding).getRank(); rank == 1) {
    Value keys = b.size(operands.k, 2);
    if (operands.pastKey)
      keys = b.binary<AddOp>(keys, b.size(operands.pastKey, 2));
    seen = b.compare<LessOp>(b.range(keys), b.unsqueeze(padding, {1, 2, 3}));
  } else {
    Value wide =
        rank == 2 ? b.unsqueeze(padding, {1, 2}) : b.unsqueeze(padding, {1});
    seen = b.compare<GreaterOp>(wide, b.integer(0));
  }
  Value mask =
      b.where(seen, b.number(0, type), b.number(operands.filter, type));
  return operands.bias ? b.binary<AddOp>(mask, operands.bias) : mask;
}

/// y [B, S, N · D] and the keys and values of all tokens.
struct Attended {
  Value y, presentKey, presentValue;
};

Attended attend(OnnxBuilder &b, const Operands &operands) {
  Value none = b.none();
  auto orNone = [&](Value value) { return value ? value : none; };
  SmallVector<int64_t> shape(typeOf(operands.q).getShape());
  int64_t heads = shape[1], size = typeOf(operands.v).getDimSize(3);
  shape[3] = size;
  Type absent = none.getType();
  auto cacheType = [&](Value fresh) -> Type {
    if (!operands.pastKey)
      return absent;
    SmallVector<int64_t> sizes(typeOf(fresh).getShape());
    sizes[2] = ShapedType::kDynamic;
    return typeOf(fresh).clone(sizes);
  };
  auto attention = AttentionOp::create(
      b.builder, b.loc,
      TypeRange{typeOf(operands.q).clone(shape), cacheType(operands.k),
                cacheType(operands.v), absent},
      ValueRange{operands.q, operands.k, operands.v,
                 orNone(maskOf(b, operands)), orNone(operands.pastKey),
                 orNone(operands.pastValue), none});
  if (operands.scale)
    attention.setScaleAttr(operands.scale);
  attention.setIsCausal(operands.causal);
  Value rows = b.transpose(attention.getY(), swapHeads);
  bool cached = bool(operands.pastKey);
  return {b.reshape(rows, {0, 0, heads * size}),
          cached ? attention.getPresentKey() : operands.k,
          cached ? attention.getPresentValue() : operands.v};
}

Value present(Value value) { return isAbsent(value) ? Value() : value; }

FloatAttr scaleOf(FloatAttr scale) {
  return scale && scale.getValueAsDouble() != 0 ? scale : FloatAttr();
}

/// Parts of one product of the input with the weights of q, k and v.
struct ExpandAttention : OpRewritePattern<MSAttentionOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MSAttentionOp op,
                                PatternRewriter &rewriter) const override {
    if (StringRef limit = limitOf(op); !limit.empty())
      return rewriter.notifyMatchFailure(op, limit);
    OnnxBuilder b(rewriter, op.getLoc());
    SmallVector<int64_t> shape(typeOf(op.getInput()).getShape());
    shape[2] = typeOf(op.getWeights()).getDimSize(1);
    Value x =
        MatMulOp::create(rewriter, b.loc, typeOf(op.getInput()).clone(shape),
                         op.getInput(), op.getWeights());
    if (!isAbsent(op.getBias()))
      x = b.binary<AddOp>(x, op.getBias());
    SmallVector<int64_t> sizes(3, shape[2] / 3);
    if (std::optional<ArrayRef<int64_t>> given = op.getQkvHiddenSizes())
      sizes.assign(given->begin(), given->end());
    SmallVector<Value> parts = b.split(x, 2, sizes);
    int64_t heads = op.getNumHeads();
    Operands operands{b.splitHeads(parts[0], heads),
                      b.splitHeads(parts[1], heads),
                      b.splitHeads(parts[2], heads)};
    if (!isAbsent(op.getPast())) {
      operands.pastKey = cacheOf(b, op.getPast(), 0);
      operands.pastValue = cacheOf(b, op.getPast(), 1);
    }
    operands.padding = present(op.getMaskIndex());
    operands.bias = present(op.getAttentionBias());
    operands.filter = op.getMaskFilterValue().convertToDouble();
    operands.scale = scaleOf(op.getScaleAttr());
    operands.causal = op.getUnidirectional();
    Attended result = attend(b, operands);
    Value caches = b.none();
    if (!isAbsent(op.getPresent()) && !op.getPresent().use_empty())
      caches = b.concat({b.unsqueeze(result.presentKey, {0}),
                         b.unsqueeze(result.presentValue, {0})},
                        0);
    rewriter.replaceOp(op, {result.y, caches});
    return success();
  }

  /// Keys or values [B, N, P, D] of the past [2, B, N, P, D].
  static Value cacheOf(OnnxBuilder &b, Value past, int64_t which) {
    auto type = typeOf(past).clone(typeOf(past).getShape().drop_front());
    return GatherOp::create(b.builder, b.loc, type, past, b.integer(which),
                            b.builder.getI64IntegerAttr(0));
  }
};

struct ExpandMultiHead : OpRewritePattern<MSMultiHeadAttentionOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MSMultiHeadAttentionOp op,
                                PatternRewriter &rewriter) const override {
    if (StringRef limit = limitOf(op); !limit.empty())
      return rewriter.notifyMatchFailure(op, limit);
    OnnxBuilder b(rewriter, op.getLoc());
    int64_t heads = op.getNumHeads();
    Operands operands = projections(b, op, heads);
    operands.pastKey = present(op.getPastKey());
    operands.pastValue = present(op.getPastValue());
    operands.padding = present(op.getKeyPaddingMask());
    operands.bias = present(op.getAttentionBias());
    operands.filter = op.getMaskFilterValue().convertToDouble();
    operands.scale = scaleOf(op.getScaleAttr());
    operands.causal = op.getUnidirectional();
    Attended result = attend(b, operands);
    rewriter.replaceOp(
        op, {result.y, result.presentKey, result.presentValue, b.none()});
    return success();
  }

private:
  static Operands projections(OnnxBuilder &b, MSMultiHeadAttentionOp op,
                              int64_t heads) {
    SmallVector<Value> parts{op.getQuery(), op.getKey(), op.getValue()};
    if (typeOf(op.getQuery()).getRank() == 5) // [B, S, N, 3, D]
      parts = unpacked(b, op.getQuery(), 3);
    else if (typeOf(op.getKey()).getRank() == 5) { // [B, T, N, 2, D]
      SmallVector<Value> cached = unpacked(b, op.getKey(), 2);
      parts = {op.getQuery(), cached[0], cached[1]};
    }
    if (!isAbsent(op.getBias())) {
      SmallVector<int64_t> sizes;
      for (Value part : parts)
        sizes.push_back(typeOf(part).getDimSize(2));
      SmallVector<Value> added = b.split(op.getBias(), 0, sizes);
      for (auto [part, bias] : llvm::zip_equal(parts, added))
        part = b.binary<AddOp>(part, bias);
    }
    for (Value &part : parts)
      if (typeOf(part).getRank() == 3)
        part = b.splitHeads(part, heads);
    return {parts[0], parts[1], parts[2]};
  }

  /// Pieces [B, S, N · D] of [B, S, N, pieces, D].
  static SmallVector<Value> unpacked(OnnxBuilder &b, Value packed,
                                     int64_t pieces) {
    RankedTensorType type = typeOf(packed);
    int64_t width = type.getDimSize(2) * type.getDimSize(4);
    SmallVector<Value> parts =
        b.split(packed, 3, SmallVector<int64_t>(pieces, 1));
    for (Value &part : parts)
      part = b.reshape(part, {0, 0, width});
    return parts;
  }
};

/// LayerNormalization of a token's rows of the tables of words, positions and
/// segments, added in this order.
struct ExpandEmbedNorm : OpRewritePattern<MSEmbedLayerNormalizationOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MSEmbedLayerNormalizationOp op,
                                PatternRewriter &rewriter) const override {
    if (StringRef limit = limitOf(op); !limit.empty())
      return rewriter.notifyMatchFailure(op, limit);
    OnnxBuilder b(rewriter, op.getLoc());
    Value positions = isAbsent(op.getPositionIds())
                          ? b.range(b.size(op.getInputIds(), 1))
                          : op.getPositionIds();
    Value sum =
        b.binary<AddOp>(rowsOf(b, op.getWordEmbedding(), op.getInputIds()),
                        rowsOf(b, op.getPositionEmbedding(), positions));
    if (!isAbsent(op.getSegmentEmbedding()))
      sum = b.binary<AddOp>(
          sum, rowsOf(b, op.getSegmentEmbedding(), op.getSegmentIds()));
    Value none = b.none();
    auto norm = LayerNormalizationOp::create(
        rewriter, b.loc,
        TypeRange{sum.getType(), none.getType(), none.getType()},
        ValueRange{sum, op.getGamma(), op.getBeta()});
    norm.setEpsilonAttr(op.getEpsilonAttr());
    rewriter.replaceOp(op, {norm.getY(), countsOf(b, op), sum});
    return success();
  }

private:
  static Value rowsOf(OnnxBuilder &b, Value table, Value ids) {
    SmallVector<int64_t> shape(typeOf(ids).getShape());
    shape.push_back(typeOf(table).getDimSize(1));
    return GatherOp::create(b.builder, b.loc, typeOf(table).clone(shape), table,
                            ids, b.builder.getI64IntegerAttr(0));
  }

  /// How many tokens of each sequence the mask shows [B], i32; without a mask
  /// zeros.
  static Value countsOf(OnnxBuilder &b, MSEmbedLayerNormalizationOp op) {
    Value counts = op.getMaskIndex();
    if (isAbsent(counts) || counts.use_empty())
      return b.none();
    Type i32 = b.builder.getI32Type();
    if (isAbsent(op.getMask()))
      return ExpandOp::create(b.builder, b.loc, counts.getType(),
                              b.cast(b.integer(0), i32),
                              b.shape(op.getInputIds(), 0, 1));
    return ReduceSumOp::create(b.builder, b.loc, counts.getType(),
                               b.cast(op.getMask(), i32), b.integers({1}),
                               b.builder.getBoolAttr(false),
                               b.builder.getBoolAttr(false));
  }
};

struct ExpandRotary : OpRewritePattern<MSRotaryEmbeddingOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MSRotaryEmbeddingOp op,
                                PatternRewriter &rewriter) const override {
    if (StringRef limit = limitOf(op); !limit.empty())
      return rewriter.notifyMatchFailure(op, limit);
    OnnxBuilder b(rewriter, op.getLoc());
    Value x = op.getX(), positions = op.getPositionIds();
    bool isFlat = typeOf(x).getRank() == 3;
    int64_t turned = op.getRotaryEmbeddingDim(), heads = op.getNumHeads();
    if (isFlat && heads == 0)
      heads = typeOf(x).getDimSize(2) /
              (2 * typeOf(op.getCosCache()).getDimSize(1));
    if (typeOf(positions).getRank() == 1) { // of the first token
      Value steps = b.range(b.size(x, isFlat ? 1 : 2));
      Value row =
          b.binary<AddOp>(b.cast(positions, rewriter.getI64Type()), steps);
      Value sizes = b.concat({b.shape(x, 0, 1), b.shape(row)}, 0);
      auto type =
          RankedTensorType::get({typeOf(x).getDimSize(0), ShapedType::kDynamic},
                                rewriter.getI64Type());
      positions = ExpandOp::create(rewriter, b.loc, type, row, sizes);
    }
    rewriter.replaceOpWithNewOp<RotaryEmbeddingOp>(
        op, op.getY().getType(), x, op.getCosCache(), op.getSinCache(),
        positions, op.getInterleavedAttr(), rewriter.getI64IntegerAttr(turned),
        isFlat ? rewriter.getI64IntegerAttr(heads) : IntegerAttr());
    return success();
  }
};

struct ExpandFusedMatMul : OpRewritePattern<MSFusedMatMulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MSFusedMatMulOp op,
                                PatternRewriter &rewriter) const override {
    OnnxBuilder b(rewriter, op.getLoc());
    Value y = MatMulOp::create(rewriter, b.loc, op.getY().getType(),
                               turned(b, op.getA(), op.getTransA()),
                               turned(b, op.getB(), op.getTransB()));
    double alpha = op.getAlpha().convertToDouble();
    if (alpha != 1)
      y = b.binary<MulOp>(y, b.number(alpha, OnnxBuilder::elementOf(y)));
    rewriter.replaceOp(op, y);
    return success();
  }

  static Value turned(OnnxBuilder &b, Value x, bool swaps) {
    int64_t rank = typeOf(x).getRank();
    if (!swaps || rank < 2)
      return x;
    auto perm = llvm::to_vector(llvm::seq<int64_t>(0, rank));
    std::swap(perm[rank - 1], perm[rank - 2]);
    return b.transpose(x, perm);
  }
};

/// Rows of a table of codes that are elements: DequantizeLinear of the table,
/// whose rows Gather reads. Tables of bytes with packed codes stay.
struct ExpandGatherBlocks : OpRewritePattern<MSGatherBlockQuantizedOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MSGatherBlockQuantizedOp op,
                                PatternRewriter &rewriter) const override {
    RankedTensorType table = typeOf(op.getData());
    RankedTensorType scales = typeOf(op.getScales());
    if (table.getElementType().isInteger(8) || !table.hasStaticShape() ||
        !scales.hasStaticShape())
      return rewriter.notifyMatchFailure(op, "packed codes, or no table");
    OnnxBuilder b(rewriter, op.getLoc());
    int64_t rank = table.getRank();
    int64_t axis = (op.getQuantizeAxis() + rank) % rank;
    Blocks blocks{op.getScales(), axis, op.getBlockSize()};
    if (isa<FloatType>(table.getElementType()) && scales.getDimSize(axis) == 1)
      blocks = wholeAxis(b, table, scales, blocks);
    else
      blocks.scales = ofEveryLine(b, table, scales, blocks);
    auto numbers = DequantizeLinearOp::create(
        rewriter, b.loc, table.clone(scales.getElementType()),
        ValueRange{op.getData(), blocks.scales, op.getZeroPoints()});
    numbers.setAxis(blocks.axis);
    numbers.setBlockSize(blocks.size);
    rewriter.replaceOpWithNewOp<GatherOp>(
        op, op.getResult().getType(), numbers, op.getIndices(),
        rewriter.getI64IntegerAttr((op.getGatherAxis() + rank) % rank));
    return success();
  }

private:
  /// What DequantizeLinear has of them.
  struct Blocks {
    Value scales;
    int64_t axis, size;
  };

  /// One block along the whole axis: a scale for all, one for each place of
  /// another axis, or one for each line along `axis`.
  static Blocks wholeAxis(OnnxBuilder &b, RankedTensorType table,
                          RankedTensorType scales, Blocks blocks) {
    SmallVector<int64_t> wide;
    for (int64_t i = 0; i < scales.getRank(); ++i)
      if (scales.getDimSize(i) != 1)
        wide.push_back(i);
    if (wide.empty())
      return {b.scalar(b.reshape(blocks.scales, {1})), 0, 0};
    if (wide.size() == 1)
      return {b.reshape(blocks.scales, {scales.getNumElements()}), wide[0], 0};
    Value every = ofEveryLine(b, table, scales, blocks);
    return {every, blocks.axis, table.getDimSize(blocks.axis)};
  }

  /// The scales of all lines along the axis, where they are one for several.
  static Value ofEveryLine(OnnxBuilder &b, RankedTensorType table,
                           RankedTensorType scales, const Blocks &blocks) {
    SmallVector<int64_t> shape(table.getShape());
    shape[blocks.axis] = scales.getDimSize(blocks.axis);
    if (scales.getShape() == ArrayRef(shape))
      return blocks.scales;
    return ExpandOp::create(b.builder, b.loc, scales.clone(shape),
                            blocks.scales, b.integers(shape));
  }
};

} // namespace

void addMicrosoftAttentionPatterns(RewritePatternSet &patterns) {
  patterns.add<ExpandAttention, ExpandMultiHead, ExpandEmbedNorm, ExpandRotary,
               ExpandFusedMatMul, ExpandGatherBlocks>(patterns.getContext());
}

} // namespace qopt::onnx
