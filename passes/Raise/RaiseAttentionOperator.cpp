// onnx.Attention as qopt.attention. What the operator asks of places of tokens
// and qopt.attention has no word for is written out as a mask: edges that are
// aligned with other keys than the last, windows on both sides, lengths of a
// padded cache.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/OnnxDialect.h"
#include "dialects/Onnx/OnnxOps.h"
#include "dialects/QOpt/QOptDialect.h"
#include "dialects/QOpt/QOptOps.h"
#include "passes/Raise/AttentionParts.h"
#include <cmath>

using namespace mlir;

namespace qopt::onnx {
namespace {

/// What an operator says of which keys a query sees.
struct Edges {
  bool causal = false;
  std::optional<int64_t> left, right; ///< keys before and behind the query's

  static Edges of(AttentionOp op) {
    Edges edges{op.getIsCausal(), {}, {}};
    if (auto left = static_cast<int64_t>(op.getLeftWindowSize()); left >= 0)
      edges.left = left;
    if (auto right = static_cast<int64_t>(op.getRightWindowSize()); right >= 0)
      edges.right = right;
    // Nothing behind the query's own key.
    edges.causal |= edges.right == 0;
    if (edges.causal)
      edges.right.reset();
    return edges;
  }
  bool any() const { return causal || left || right; }
};

/// Which keys of `k` [B, KV, T, D] a query may see by its place: i1 that
/// broadcasts to [B, 1, S, T].
class PlaceMask {
public:
  PlaceMask(OnnxBuilder &b, AttentionOp op, const Heads &heads) : b(b), op(op) {
    keys = b.range(b.size(heads.k, 2));
    Value steps = b.range(b.size(heads.q, 2));
    queries = b.binary<AddOp>(b.unsqueeze(steps, {1}), offset(heads));
  }

  /// Null where all keys are seen.
  Value build(const Edges &edges) {
    Value behind = b.binary<SubOp>(keys, queries);
    if (edges.causal)
      take(b.compare<LessOrEqualOp>(behind, b.integer(0)));
    if (edges.right)
      take(b.compare<LessOrEqualOp>(behind, b.integer(*edges.right)));
    if (edges.left)
      take(b.compare<GreaterOrEqualOp>(behind, b.integer(-*edges.left)));
    if (!isAbsent(op.getNonpadKvSeqlen()))
      take(b.compare<LessOp>(keys, lengths()));
    return mask;
  }

private:
  /// Tokens of each sequence in a cache that is padded, [B, 1, 1, 1].
  Value lengths() {
    Value counts = b.cast(op.getNonpadKvSeqlen(), b.builder.getI64Type());
    return b.unsqueeze(counts, {1, 2, 3});
  }

  /// Keys before the first query: the past, or what the sequence has beside
  /// the queries.
  Value offset(const Heads &heads) {
    if (!isAbsent(op.getPastKey()))
      return b.size(op.getPastKey(), 2);
    if (!isAbsent(op.getNonpadKvSeqlen()))
      return b.binary<SubOp>(lengths(), b.size(heads.q, 2));
    return b.integer(0);
  }

  void take(Value condition) {
    mask = mask ? b.compare<AndOp>(mask, condition) : condition;
  }

  OnnxBuilder &b;
  AttentionOp op;
  Value keys, queries, mask;
};

/// A mask that has fewer keys than there are hides the others.
Value padded(OnnxBuilder &b, Value mask, Value k) {
  int64_t rank = OnnxBuilder::typeOf(mask).getRank();
  int64_t known = OnnxBuilder::typeOf(mask).getShape().back();
  int64_t keys = OnnxBuilder::typeOf(k).getDimSize(2);
  if (ShapedType::isDynamic(known) || ShapedType::isDynamic(keys) ||
      known >= keys)
    return mask;
  SmallVector<int64_t> shape(OnnxBuilder::typeOf(mask).getShape());
  shape.back() = keys;
  Type element = OnnxBuilder::elementOf(mask);
  Value hidden = element.isInteger(1) ? b.cast(b.integer(0), element)
                                      : b.number(-INFINITY, element);
  return PadOp::create(b.builder, b.loc, OnnxBuilder::typeOf(mask).clone(shape),
                       mask, b.integers({0, keys - known}), hidden,
                       b.integers({rank - 1}),
                       b.builder.getStringAttr("constant"));
}

Value joined(OnnxBuilder &b, Value mask, Value places) {
  if (!mask || !places)
    return mask ? mask : places;
  Type element = OnnxBuilder::elementOf(mask);
  if (element.isInteger(1))
    return b.compare<AndOp>(mask, places);
  return b.where(places, mask, b.number(-INFINITY, element));
}

/// The scores [B, H, S, T] that `qk_matmul_output_mode` asks for, spelt out;
/// `mask` is all that hides keys.
Value scoresOutput(OnnxBuilder &b, AttentionOp op, const Heads &heads,
                   const Scores &scores, Value mask) {
  int64_t mode = op.getQkMatmulOutputMode();
  int64_t count = OnnxBuilder::typeOf(heads.q).getDimSize(1);
  int64_t shared = OnnxBuilder::typeOf(heads.k).getDimSize(1);
  int64_t size = OnnxBuilder::typeOf(heads.q).getDimSize(3);
  Type f32 = b.builder.getF32Type();
  // Heads that share keys are more queries of these.
  Value q = b.reshape(b.cast(heads.q, f32), {0, shared, -1, size});
  Value k = b.transpose(b.cast(heads.k, f32), {0, 1, 3, 2});
  SmallVector<int64_t> shape(OnnxBuilder::typeOf(q).getShape());
  shape.back() = OnnxBuilder::typeOf(k).getDimSize(3);
  Value x = MatMulOp::create(b.builder, b.loc,
                             OnnxBuilder::typeOf(q).clone(shape), q, k);
  x = b.binary<MulOp>(b.reshape(x, {0, count, -1, 0}),
                      b.number(scores.scale, f32));
  if (mode >= 1 && scores.softcap != 0) {
    Value cap = b.number(scores.softcap, f32);
    Value ratio = b.binary<DivOp>(x, cap);
    ratio = TanhOp::create(b.builder, b.loc, ratio.getType(), ratio);
    x = b.binary<MulOp>(ratio, cap);
  }
  if (mode >= 2 && mask) {
    x = OnnxBuilder::elementOf(mask).isInteger(1)
            ? b.where(mask, x, b.number(-INFINITY, f32))
            : b.binary<AddOp>(x, b.cast(mask, f32));
  }
  if (mode >= 3) {
    x = SoftmaxOp::create(b.builder, b.loc, x.getType(), x,
                          b.builder.getI64IntegerAttr(-1));
    // A row that sees nothing is 0.
    Value isNothing =
        IsNaNOp::create(b.builder, b.loc,
                        OnnxBuilder::typeOf(x).clone(b.builder.getI1Type()), x);
    x = b.where(isNothing, b.number(0, f32), x);
  }
  return b.cast(x, OnnxBuilder::elementOf(op.getQkMatmulOutput()));
}

struct RaiseAttentionOperator : OpRewritePattern<AttentionOp> {
  RaiseAttentionOperator(MLIRContext *context, const SymbolicShapes &shapes)
      : OpRewritePattern(context), shapes(shapes) {}

  LogicalResult matchAndRewrite(AttentionOp op,
                                PatternRewriter &rewriter) const override {
    // Before anything is built.
    if (!isComputable(op.getQ()))
      return rewriter.notifyMatchFailure(op, "not f32, f16 or bf16");
    int64_t kv = op.getKvNumHeads().value_or(1);
    if (StringRef reason =
            refusal(headsType(op.getQ(), op.getQNumHeads().value_or(1)),
                    headsType(op.getK(), kv), headsType(op.getV(), kv));
        !reason.empty())
      return rewriter.notifyMatchFailure(op, reason);
    OnnxBuilder b(rewriter, op.getLoc());
    Heads heads = headsOf(b, op);
    Value presentKey = heads.k, presentValue = heads.v;
    heads.k = withoutRepeatedHeads(heads.k);
    heads.v = withoutRepeatedHeads(heads.v);
    Scores scores;
    scores.scale = op.getScale() ? op.getScale()->convertToDouble()
                                 : 1 / std::sqrt(typeOf(heads.q).getDimSize(3));
    Value queries = heads.q;
    double factor = takeScale(queries);
    scores.softcap = op.getSoftcap().convertToDouble();
    Value given;
    if (!isAbsent(op.getAttnMask()))
      given = padded(b, op.getAttnMask(), presentKey);
    Edges edges = Edges::of(op);
    Value none = b.none(), shown = none;
    if (!isAbsent(op.getQkMatmulOutput()) &&
        !op.getQkMatmulOutput().use_empty())
      shown =
          scoresOutput(b, op, heads, scores,
                       joined(b, given, PlaceMask(b, op, heads).build(edges)));
    if (isAlignedWithLastKey(op) && edges.causal) {
      scores.causal = true;
      if (edges.left)
        scores.window = *edges.left + 1;
      edges = {};
    }
    if (edges.any() || !isAbsent(op.getNonpadKvSeqlen()))
      given = joined(b, given, PlaceMask(b, op, heads).build(edges));
    scores.mask = given;
    scores.scale *= factor;
    heads.q = queries;
    Value y = makeAttention(b, heads, scores);
    if (typeOf(op.getQ()).getRank() == 3)
      y = b.reshape(permuted(y, swapHeads).build(b),
                    {0, 0, typeOf(op.getY()).getDimSize(2)});
    rewriter.replaceOp(op, {y, presentKey, presentValue, shown});
    return success();
  }

  /// ONNX aligns edges with the last key of the past, or, where a cache is
  /// padded, of each sequence, else with the first key. That is the last key
  /// where a call has as many new keys as queries.
  bool isAlignedWithLastKey(AttentionOp op) const {
    unsigned axis = typeOf(op.getQ()).getRank() == 4 ? 2 : 1;
    return isAbsent(op.getNonpadKvSeqlen()) &&
           shapes.sameDim(op.getQ(), axis, op.getK(), axis);
  }

  /// The type of `x` as [B, heads, S, size].
  static RankedTensorType headsType(Value x, int64_t heads) {
    RankedTensorType type = typeOf(x);
    if (type.getRank() != 3)
      return type;
    int64_t width = type.getDimSize(2);
    bool divides = heads > 0 && !type.isDynamicDim(2);
    return type.clone({type.getDimSize(0), heads, type.getDimSize(1),
                       divides ? width / heads : ShapedType::kDynamic});
  }

  static Heads headsOf(OnnxBuilder &b, AttentionOp op) {
    Heads heads{op.getQ(), op.getK(), op.getV()};
    if (typeOf(heads.q).getRank() == 3) {
      int64_t kv = op.getKvNumHeads().value_or(1);
      heads = {b.splitHeads(heads.q, op.getQNumHeads().value_or(1)),
               b.splitHeads(heads.k, kv), b.splitHeads(heads.v, kv)};
    }
    if (!isAbsent(op.getPastKey())) {
      heads.k = b.concat({op.getPastKey(), heads.k}, 2);
      heads.v = b.concat({op.getPastValue(), heads.v}, 2);
    }
    return heads;
  }

  const SymbolicShapes &shapes;
};

} // namespace

void addAttentionOperatorPattern(RewritePatternSet &patterns,
                                 const SymbolicShapes &shapes) {
  patterns.add<RaiseAttentionOperator>(patterns.getContext(), shapes);
}

} // namespace qopt::onnx
