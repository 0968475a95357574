// Scaled dot-product attention, as one operator or spelt out as two products
// around a softmax, becomes qopt.attention: q and the result [B, S, H, D], k
// and v [B, KV, T, D], heads that an exporter repeated taken back to KV.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/OnnxDialect.h"
#include "dialects/Onnx/OnnxOps.h"
#include "dialects/Onnx/SymbolicShapes.h"
#include "dialects/QOpt/QOptDialect.h"
#include "dialects/QOpt/QOptOps.h"
#include "dialects/QOpt/Shapes.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "passes/Raise/MergedHeads.h"
#include "passes/Raise/OnnxBuilder.h"
#include "passes/Raise/OnnxValues.h"
#include "passes/Raise/Passes.h"
#include <cmath>

namespace qopt::passes {
#define GEN_PASS_DEF_RAISEATTENTIONPASS
#include "passes/Raise/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx;

namespace {

constexpr int64_t swapLast[] = {0, 1, 3, 2};

/// A tensor and the order in which its axes are wanted.
struct Permuted {
  Value source;
  SmallVector<int64_t> order;

  bool isThere() const {
    return llvm::equal(order, llvm::seq<int64_t>(0, order.size()));
  }
  RankedTensorType type() const {
    SmallVector<int64_t> shape;
    for (int64_t axis : order)
      shape.push_back(typeOf(source).getDimSize(axis));
    return typeOf(source).clone(shape);
  }
  Value build(OnnxBuilder &b) const {
    return isThere() ? source : b.transpose(source, order);
  }
};

/// `x` with permuted axes; a Transpose that already is there is taken along.
Permuted permuted(Value x, ArrayRef<int64_t> perm) {
  Permuted result{x, SmallVector<int64_t>(perm)};
  if (auto inner = x.getDefiningOp<TransposeOp>()) {
    for (int64_t &axis : result.order)
      axis = inner.getPerm()[axis];
    result.source = inner.getData();
  }
  return result;
}

/// Keys or values before each head was repeated for the query heads that share
/// it: Reshape(Expand(Unsqueeze(x, 2))) with x [B, KV, T, D].
Value withoutRepeatedHeads(Value x) {
  auto reshape = x.getDefiningOp<ReshapeOp>();
  auto expand =
      reshape ? reshape.getData().getDefiningOp<ExpandOp>() : ExpandOp();
  auto unsqueeze =
      expand ? expand.getData().getDefiningOp<UnsqueezeOp>() : UnsqueezeOp();
  if (!unsqueeze)
    return x;
  auto axes = constantIntegers(unsqueeze.getAxes());
  auto source = typeOf(unsqueeze.getData()), wide = typeOf(expand.getResult()),
       result = typeOf(x);
  bool matches =
      axes && axes->size() == 1 && (*axes)[0] == 2 && source.getRank() == 4 &&
      wide.getRank() == 5 && result.getRank() == 4 && !source.isDynamicDim(1) &&
      !wide.isDynamicDim(2) && wide.getDimSize(1) == source.getDimSize(1) &&
      result.getDimSize(1) == source.getDimSize(1) * wide.getDimSize(2) &&
      result.getDimSize(3) == source.getDimSize(3);
  return matches ? unsqueeze.getData() : x;
}

/// Takes factors that are scalar constants off `value`; returns their product.
double takeScale(Value &value) {
  double scale = 1;
  while (true) {
    value = withoutFloatCasts(value);
    if (auto product = value.getDefiningOp<MulOp>()) {
      if (auto factor = constantScalar(product.getB())) {
        scale *= *factor, value = product.getA();
        continue;
      }
      if (auto factor = constantScalar(product.getA())) {
        scale *= *factor, value = product.getB();
        continue;
      }
    }
    if (auto quotient = value.getDefiningOp<DivOp>())
      if (auto divisor = constantScalar(quotient.getB())) {
        scale /= *divisor, value = quotient.getA();
        continue;
      }
    return scale;
  }
}

/// What stands between the product of queries with keys and the softmax.
struct Scores {
  MatMulOp product;
  double scale = 1;
  double softcap = 0; ///< 0: none
  Value mask;         ///< none, or i1 (true attends), or floats to be added
  bool isInverted = false; ///< of an i1 mask: false attends
  Value bias; ///< none, or [B·H, 1, T] that is added before heads are parted
};

/// x of tanh(x), whether it is raised already or not; null for other values.
Value tanhOperand(Value value) {
  if (auto tanh = value.getDefiningOp<TanhOp>())
    return tanh.getX();
  auto activation = value.getDefiningOp<ir::ActivationOp>();
  bool matches = activation && activation.getFunction() == ir::Function::Tanh;
  return matches ? activation.getX() : Value();
}

/// Whether `bias` is a number for each head and key, [B·H, 1, T].
bool isBiasOfKeys(Value bias) {
  RankedTensorType type = typeOf(bias);
  return type && type.getRank() == 3 && type.getDimSize(1) == 1 &&
         isComputable(bias);
}

/// `scores` of a product whose heads are merged, plus a bias or without.
std::optional<Scores> mergedProduct(Value value, Scores scores) {
  Value product = value;
  if (auto sum = value.getDefiningOp<AddOp>()) {
    if (scores.scale != 1 || scores.softcap != 0)
      return std::nullopt;
    bool first = isBiasOfKeys(sum.getA());
    scores.bias = first ? sum.getA() : sum.getB();
    product = first ? sum.getB() : sum.getA();
    if (!isBiasOfKeys(scores.bias))
      return std::nullopt;
  }
  scores.scale *= takeScale(product);
  scores.product = product.getDefiningOp<MatMulOp>();
  return scores.product ? std::optional(scores) : std::nullopt;
}

/// factor · product, or cap · tanh(factor · product): a soft cap of scores
/// whose scale is factor · cap. Nothing for other values.
std::optional<Scores> scaledProduct(Value value, const MergedHeads &heads) {
  Scores scores;
  scores.scale = takeScale(value);
  if (Value x = tanhOperand(value)) {
    scores.softcap = scores.scale;
    scores.scale *= takeScale(x);
    value = x;
    if (scores.softcap <= 0)
      return std::nullopt;
  }
  if (Value merged = heads.merged(value))
    return mergedProduct(merged, scores);
  scores.product = value.getDefiningOp<MatMulOp>();
  if (!scores.product || typeOf(value).getRank() != 4)
    return std::nullopt;
  return scores;
}

bool isMinusInfinity(Value value) {
  auto scalar = constantScalar(value);
  return scalar && *scalar <= -1e9;
}

/// Scores with a mask, which is on either side of a sum or decides a choice.
std::optional<Scores> matchScores(Value value, const MergedHeads &heads) {
  value = withoutFloatCasts(value);
  auto masked = [&](Value value, Value mask, bool isInverted = false) {
    std::optional<Scores> scores = scaledProduct(value, heads);
    if (scores) {
      scores->mask = mask;
      scores->isInverted = isInverted;
    }
    return scores;
  };
  if (auto sum = value.getDefiningOp<AddOp>()) {
    if (auto scores = masked(sum.getA(), sum.getB()))
      return scores;
    return masked(sum.getB(), sum.getA());
  }
  if (auto where = value.getDefiningOp<WhereOp>()) {
    if (isMinusInfinity(where.getY()))
      if (auto scores = masked(where.getX(), where.getCondition()))
        return scores;
    if (isMinusInfinity(where.getX()))
      return masked(where.getY(), where.getCondition(), /*isInverted=*/true);
  }
  return scaledProduct(value, heads);
}

/// The softmax below probabilities, through the guard that turns the NaN of a
/// fully masked row into 0, which qopt.attention does by itself.
SoftmaxOp softmaxOf(Value probabilities) {
  probabilities = withoutFloatCasts(probabilities);
  if (auto guard = probabilities.getDefiningOp<WhereOp>()) {
    auto isNaN = guard.getCondition().getDefiningOp<IsNaNOp>();
    if (!isNaN || isNaN.getX() != guard.getY() ||
        constantScalar(guard.getX()) != 0.0)
      return {};
    probabilities = withoutFloatCasts(guard.getY());
  }
  auto softmax = probabilities.getDefiningOp<SoftmaxOp>();
  if (!softmax)
    return {};
  int64_t rank = typeOf(softmax.getX()).getRank();
  int64_t axis = softmax.getAxis();
  return axis == -1 || axis == rank - 1 ? softmax : SoftmaxOp();
}

/// A mask with four axes that broadcasts to [B, H, S, T].
Value maskOfRank4(OnnxBuilder &b, Value mask) {
  int64_t rank = typeOf(mask).getRank();
  auto axes =
      llvm::to_vector(llvm::seq<int64_t>(0, std::max<int64_t>(4 - rank, 0)));
  return rank < 4 ? b.unsqueeze(mask, axes) : mask;
}

/// The mask of scores that have a bias, too, as floats to be added.
Value maskWithBias(OnnxBuilder &b, const Scores &scores, int64_t heads) {
  Value bias = b.unsqueeze(b.reshape(scores.bias, {-1, heads, 0}), {2});
  if (!scores.mask)
    return bias;
  Value mask = maskOfRank4(b, scores.mask);
  if (!OnnxBuilder::elementOf(mask).isInteger(1))
    return b.binary<AddOp>(bias, mask);
  Value none = b.number(-INFINITY, OnnxBuilder::elementOf(bias));
  return scores.isInverted ? b.where(mask, none, bias)
                           : b.where(mask, bias, none);
}

struct Heads {
  Value q;    ///< [B, H, S, D]
  Value k, v; ///< [B, KV, T, D]
};

/// Why these shapes of heads are no attention, or an empty string.
StringRef refusal(RankedTensorType q, RankedTensorType k, RankedTensorType v) {
  if (q.getRank() != 4 || k.getRank() != 4 || v.getRank() != 4)
    return "queries, keys and values need four axes";
  if (!ir::sizesAgree(q.getDimSize(0), k.getDimSize(0)) ||
      !ir::sizesAgree(q.getDimSize(0), v.getDimSize(0)) ||
      !ir::sizesAgree(k.getDimSize(0), v.getDimSize(0)))
    return "the batch is broadcast";
  if (q.isDynamicDim(1) || k.isDynamicDim(1) || q.isDynamicDim(3) ||
      k.isDynamicDim(3))
    return "the numbers and sizes of heads are not known";
  if (k.getDimSize(1) != v.getDimSize(1) ||
      q.getDimSize(1) % k.getDimSize(1) != 0 ||
      q.getDimSize(3) != k.getDimSize(3) || k.getDimSize(3) != v.getDimSize(3))
    return "heads of queries, keys and values do not fit";
  return {};
}

/// The attention of [B, H, S, D] queries; the result has that order of axes
/// too.
Value makeAttention(OnnxBuilder &b, const Heads &heads, const Scores &scores,
                    bool causal) {
  Value q = permuted(heads.q, swapHeads).build(b);
  Value mask = scores.mask;
  if (scores.bias)
    mask = maskWithBias(b, scores, typeOf(heads.q).getDimSize(1));
  else if (scores.isInverted)
    mask = NotOp::create(b.builder, b.loc, mask.getType(), mask);
  if (mask)
    mask = maskOfRank4(b, mask);
  FloatAttr softcap = scores.softcap != 0
                          ? b.builder.getF32FloatAttr(scores.softcap)
                          : FloatAttr();
  Value y = ir::AttentionOp::create(
      b.builder, b.loc, q.getType(), q, heads.k, heads.v, mask,
      b.builder.getF32FloatAttr(scores.scale),
      causal ? b.builder.getUnitAttr() : UnitAttr(), IntegerAttr(), softcap);
  return b.transpose(y, swapHeads);
}

struct RaiseSpeltOutAttention : OpRewritePattern<MatMulOp> {
  RaiseSpeltOutAttention(MLIRContext *context, const SymbolicShapes &shapes)
      : OpRewritePattern(context), merged(shapes) {}

  LogicalResult matchAndRewrite(MatMulOp op,
                                PatternRewriter &rewriter) const override {
    Value probabilities = merged.parted(op.getA());
    SoftmaxOp softmax = probabilities ? softmaxOf(probabilities) : SoftmaxOp();
    if (!softmax)
      return rewriter.notifyMatchFailure(op, "no softmax on the left");
    if (!isComputable(op.getB()))
      return rewriter.notifyMatchFailure(op, "not f32, f16 or bf16");
    auto scores = matchScores(softmax.getX(), merged);
    if (!scores)
      return rewriter.notifyMatchFailure(op, "no product below the softmax");
    Heads heads{scores->product.getA(), scores->product.getB(), op.getB()};
    scores->scale *= takeScale(heads.q) * takeScale(heads.k);
    heads.q = merged.parted(heads.q);
    heads.v = merged.parted(heads.v);
    std::optional<Permuted> found = keysOf(heads.k);
    if (!heads.q || !heads.v || !found)
      return rewriter.notifyMatchFailure(op, "heads without four axes");
    Permuted keys = *found;
    if (keys.isThere())
      keys.source = withoutRepeatedHeads(keys.source);
    heads.v = withoutRepeatedHeads(heads.v);
    // Asked before anything is built: a pattern that builds and then gives up
    // would never come to rest.
    if (StringRef reason =
            refusal(typeOf(heads.q), keys.type(), typeOf(heads.v));
        !reason.empty())
      return rewriter.notifyMatchFailure(op, reason);
    bool isMerged = typeOf(op.getResult()).getRank() == 3;
    SmallVector<Value> results = merged.partedUses(op.getResult());
    if (isMerged && results.empty())
      return rewriter.notifyMatchFailure(op, "its heads are not parted");
    OnnxBuilder b(rewriter, op.getLoc());
    heads.k = keys.build(b);
    Value y = makeAttention(b, heads, *scores, /*causal=*/false);
    if (!isMerged) {
      rewriter.replaceOp(op, y);
      return success();
    }
    for (Value result : results)
      rewriter.replaceOp(result.getDefiningOp(), y);
    if (op->use_empty()) // its sizes may be asked for
      rewriter.eraseOp(op);
    return success();
  }

  /// Keys [B, KV, T, D] of the second operand of a product.
  std::optional<Permuted> keysOf(Value k) const {
    if (auto transpose = k.getDefiningOp<TransposeOp>();
        transpose && transpose.getPerm() == ArrayRef<int64_t>{0, 2, 1}) {
      Value parted = merged.parted(transpose.getData());
      return parted ? std::optional(permuted(parted, {0, 1, 2, 3}))
                    : std::nullopt;
    }
    Value parted = merged.parted(k);
    return parted ? std::optional(permuted(parted, swapLast)) : std::nullopt;
  }

  MergedHeads merged;
};

struct RaiseAttentionOperator : OpRewritePattern<onnx::AttentionOp> {
  RaiseAttentionOperator(MLIRContext *context, const SymbolicShapes &shapes)
      : OpRewritePattern(context), shapes(shapes) {}

  LogicalResult matchAndRewrite(onnx::AttentionOp op,
                                PatternRewriter &rewriter) const override {
    auto unused = [](Value v) { return isAbsent(v) || v.use_empty(); };
    if (!isAbsent(op.getNonpadKvSeqlen()) || !unused(op.getQkMatmulOutput()))
      return rewriter.notifyMatchFailure(op, "lengths or a score output");
    if (static_cast<int64_t>(op.getLeftWindowSize()) != -1 ||
        static_cast<int64_t>(op.getRightWindowSize()) != -1)
      return rewriter.notifyMatchFailure(op, "windows");
    if (op.getIsCausal() && !isAlignedWithLastKey(op))
      return rewriter.notifyMatchFailure(op, "causal from the first key on");
    // Before anything is built, too.
    if (typeOf(op.getK()).getShape().back() !=
        typeOf(op.getV()).getShape().back())
      return rewriter.notifyMatchFailure(op, "values of another head size");
    if (!isComputable(op.getQ()))
      return rewriter.notifyMatchFailure(op, "not f32, f16 or bf16");
    OnnxBuilder b(rewriter, op.getLoc());
    Heads heads = headsOf(b, op);
    Value presentKey = heads.k, presentValue = heads.v;
    heads.k = withoutRepeatedHeads(heads.k);
    heads.v = withoutRepeatedHeads(heads.v);
    if (StringRef reason =
            refusal(typeOf(heads.q), typeOf(heads.k), typeOf(heads.v));
        !reason.empty())
      return rewriter.notifyMatchFailure(op, reason);
    Scores scores;
    scores.scale = op.getScale() ? op.getScale()->convertToDouble()
                                 : 1 / std::sqrt(typeOf(heads.q).getDimSize(3));
    scores.scale *= takeScale(heads.q);
    scores.softcap = op.getSoftcap().convertToDouble();
    if (!isAbsent(op.getAttnMask()))
      scores.mask = op.getAttnMask();
    Value y = makeAttention(b, heads, scores, op.getIsCausal());
    if (typeOf(op.getQ()).getRank() == 3)
      y = b.reshape(permuted(y, swapHeads).build(b),
                    {0, 0, typeOf(op.getY()).getDimSize(2)});
    rewriter.replaceOp(op, {y, presentKey, presentValue, b.none()});
    return success();
  }

  /// ONNX aligns the causal edge with the end of `past_key`, and without it
  /// with the first key; that is the last key where there are as many keys as
  /// queries.
  bool isAlignedWithLastKey(onnx::AttentionOp op) const {
    unsigned axis = typeOf(op.getQ()).getRank() == 4 ? 2 : 1;
    return !isAbsent(op.getPastKey()) ||
           shapes.sameDim(op.getQ(), axis, op.getK(), axis);
  }

  static Heads headsOf(OnnxBuilder &b, onnx::AttentionOp op) {
    Heads heads{op.getQ(), op.getK(), op.getV()};
    if (typeOf(heads.q).getRank() == 3) {
      auto split = [&](Value x, int64_t count) {
        int64_t size = typeOf(x).getDimSize(2) / count;
        return b.transpose(b.reshape(x, {0, 0, count, size}), swapHeads);
      };
      int64_t kv = op.getKvNumHeads().value_or(1);
      heads = {split(heads.q, op.getQNumHeads().value_or(1)),
               split(heads.k, kv), split(heads.v, kv)};
    }
    if (!isAbsent(op.getPastKey())) {
      heads.k = b.concat({op.getPastKey(), heads.k}, 2);
      heads.v = b.concat({op.getPastValue(), heads.v}, 2);
    }
    return heads;
  }

  const SymbolicShapes &shapes;
};

/// A factor of the queries that stands before they are divided into heads.
struct TakeScaleOfQueries : OpRewritePattern<ir::AttentionOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ir::AttentionOp op,
                                PatternRewriter &rewriter) const override {
    auto heads = op.getQ().getDefiningOp<ReshapeOp>();
    if (!heads)
      return rewriter.notifyMatchFailure(op, "queries are not reshaped");
    Value x = heads.getData();
    double scale = takeScale(x);
    if (scale == 1 || x.getType() != heads.getData().getType())
      return rewriter.notifyMatchFailure(op, "queries have no factor");
    Operation *unscaled = rewriter.clone(*heads);
    unscaled->setOperand(0, x);
    scale *= op.getScale().convertToDouble();
    rewriter.modifyOpInPlace(op, [&] {
      op.getQMutable().assign(unscaled->getResult(0));
      op.setScaleAttr(rewriter.getF32FloatAttr(static_cast<float>(scale)));
    });
    return success();
  }
};

struct RaiseAttention
    : qopt::passes::impl::RaiseAttentionPassBase<RaiseAttention> {
  void runOnOperation() override {
    SymbolicShapes shapes(&getContext());
    if (qopt::Status status = shapes.run(getOperation()); !status.ok())
      getOperation().emitWarning() << status.message();
    RewritePatternSet patterns(&getContext());
    patterns.add<RaiseSpeltOutAttention, RaiseAttentionOperator>(&getContext(),
                                                                 shapes);
    patterns.add<TakeScaleOfQueries>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    returnWhatIsThere(getOperation());
  }
};

} // namespace
