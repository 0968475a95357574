// Fused operators of com.microsoft say in one node what other exporters write
// with standard ones. Writing them out first keeps every raising pattern
// single: what comes after this pass never asks which exporter wrote the file.
// MatMulNBits and GatherBlockQuantized of packed bytes stay: they carry
// weights, not structure.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Raise/ExpandMicrosoft.h"
#include "dialects/Onnx/OnnxDialect.h"
#include "dialects/Onnx/OnnxOps.h"
#include "dialects/Onnx/RaisingLimits.h"
#include "dialects/Onnx/SymbolicShapes.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "passes/Raise/OnnxBuilder.h"
#include "passes/Raise/Passes.h"
#include <cmath>

namespace qopt::passes {
#define GEN_PASS_DEF_EXPANDMICROSOFTPASS
#include "passes/Raise/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt::onnx;

namespace {

/// y = x + skip (+ bias), in this order: onnxruntime adds the bias last.
Value residualSum(OnnxBuilder &b, Value input, Value skip, Value bias) {
  Value sum = b.binary<AddOp>(input, skip);
  return isAbsent(bias) ? sum : b.binary<AddOp>(sum, bias);
}

struct ExpandSimplifiedNorm
    : OpRewritePattern<MSSimplifiedLayerNormalizationOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MSSimplifiedLayerNormalizationOp op,
                                PatternRewriter &rewriter) const override {
    if (StringRef limit = limitOf(op); !limit.empty())
      return rewriter.notifyMatchFailure(op, limit);
    Value y = RMSNormalizationOp::create(
        rewriter, op.getLoc(), op.getY().getType(), op.getX(), op.getScale(),
        op.getAxisAttr(), op.getEpsilonAttr(), op.getStashTypeAttr());
    rewriter.replaceOp(op, {y, op.getX()});
    return success();
  }
};

struct ExpandSkipSimplifiedNorm
    : OpRewritePattern<MSSkipSimplifiedLayerNormalizationOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MSSkipSimplifiedLayerNormalizationOp op,
                                PatternRewriter &rewriter) const override {
    if (StringRef limit = limitOf(op); !limit.empty())
      return rewriter.notifyMatchFailure(op, limit);
    OnnxBuilder b(rewriter, op.getLoc());
    Value sum = residualSum(b, op.getInput(), op.getSkip(), op.getBias());
    Value y = RMSNormalizationOp::create(
        rewriter, op.getLoc(), op.getOutput().getType(), sum, op.getGamma(),
        rewriter.getI64IntegerAttr(-1), op.getEpsilonAttr(),
        rewriter.getI64IntegerAttr(1));
    Value none = b.none();
    rewriter.replaceOp(op, {y, none, none, sum});
    return success();
  }
};

struct ExpandSkipNorm : OpRewritePattern<MSSkipLayerNormalizationOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MSSkipLayerNormalizationOp op,
                                PatternRewriter &rewriter) const override {
    if (StringRef limit = limitOf(op); !limit.empty())
      return rewriter.notifyMatchFailure(op, limit);
    OnnxBuilder b(rewriter, op.getLoc());
    Value sum = residualSum(b, op.getInput(), op.getSkip(), op.getBias());
    Value none = b.none();
    auto norm = LayerNormalizationOp::create(
        rewriter, op.getLoc(),
        TypeRange{op.getOutput().getType(), none.getType(), none.getType()},
        ValueRange{sum, op.getGamma(), op.getBeta()});
    norm.setEpsilonAttr(op.getEpsilonAttr());
    rewriter.replaceOp(op, {norm.getY(), none, none, sum});
    return success();
  }
};

/// gelu(x + bias): the bias becomes an Add of its own, which a linear takes up.
template <typename Op> struct ExpandBiasedGelu : OpRewritePattern<Op> {
  ExpandBiasedGelu(MLIRContext *context, StringRef approximate)
      : OpRewritePattern<Op>(context), approximate(approximate) {}
  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    OnnxBuilder b(rewriter, op.getLoc());
    Value x = op.getX();
    if (!isAbsent(op.getBias()))
      x = b.binary<AddOp>(x, op.getBias());
    rewriter.replaceOpWithNewOp<GeluOp>(op, op.getY().getType(), x,
                                        rewriter.getStringAttr(approximate));
    return success();
  }
  StringRef approximate;
};

struct ExpandQuickGelu : OpRewritePattern<MSQuickGeluOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MSQuickGeluOp op,
                                PatternRewriter &rewriter) const override {
    OnnxBuilder b(rewriter, op.getLoc());
    Value alpha = b.number(op.getAlpha().convertToDouble(),
                           OnnxBuilder::elementOf(op.getX()));
    Value scaled = b.binary<MulOp>(op.getX(), alpha);
    Value gate =
        SigmoidOp::create(rewriter, op.getLoc(), scaled.getType(), scaled);
    rewriter.replaceOp(op, b.binary<MulOp>(op.getX(), gate));
    return success();
  }
};

/// GroupQueryAttention as rotary, concatenation with the past, a mask and
/// Attention. Shapes: B sequences, S new tokens, P past slots, T = P + S.
///
/// `seqlens_k` [B] is each sequence's length including the new tokens, less
/// one; a sequence may be shorter than the past slots (right padding). Keys
/// keep their place in the concatenation for the arithmetic: slot t < P belongs
/// to the sequence when t < pastLength, slot P + j is its new token j. The
/// operator's `present` has the new keys right behind the sequence's own past
/// and zeros behind them; for sequences of equal length it is the same tensor,
/// unless the past is a buffer with room for the new tokens, which stays as
/// long as it is.
class ExpandGroupQueryAttention
    : public OpRewritePattern<MSGroupQueryAttentionOp> {
public:
  ExpandGroupQueryAttention(MLIRContext *context, const SymbolicShapes &shapes)
      : OpRewritePattern(context), shapes(shapes) {}
  LogicalResult matchAndRewrite(MSGroupQueryAttentionOp op,
                                PatternRewriter &rewriter) const override {
    if (StringRef limit = limitOf(op); !limit.empty())
      return rewriter.notifyMatchFailure(op, limit);
    OnnxBuilder b(rewriter, op.getLoc());
    auto [q, k, v] = heads(b, op);
    Places places = placesOf(b, op);
    if (op.getDoRotary()) {
      q = rotate(b, op, q, places.positions);
      k = rotate(b, op, k, places.positions);
    }
    Value keys = k, values = v;
    if (!isAbsent(op.getPastKey())) {
      keys = b.concat({op.getPastKey(), k}, 2);
      values = b.concat({op.getPastValue(), v}, 2);
    }
    Value y = attend(b, op, q, keys, values, places.mask);
    Value none = b.none();
    rewriter.replaceOp(op, {y, present(b, op, keys, places),
                            present(b, op, values, places), none});
    return success();
  }

private:
  /// Integer tensors that say where each token stands.
  struct Places {
    Value pastLength; ///< [B] i64
    Value positions;  ///< [B, S] i64
    Value keySlots;   ///< [T] i64: 0, 1, …
    Value pastSlots;  ///< P as an i64 scalar
    Value mask;       ///< [B, 1, S, T] i1, true attends
  };

  static int64_t headSize(MSGroupQueryAttentionOp op) {
    int64_t width = OnnxBuilder::typeOf(op.getQuery()).getDimSize(2);
    int64_t heads = op.getNumHeads();
    return isAbsent(op.getKey()) ? width / (heads + 2 * op.getKvNumHeads())
                                 : width / heads;
  }

  /// Query [B, H, S, D], key and value [B, KV, S, D].
  static std::tuple<Value, Value, Value> heads(OnnxBuilder &b,
                                               MSGroupQueryAttentionOp op) {
    int64_t d = headSize(op), h = op.getNumHeads(), kv = op.getKvNumHeads();
    Value q = op.getQuery(), k = op.getKey(), v = op.getValue();
    if (isAbsent(k)) {
      SmallVector<Value> parts = b.split(q, 2, {h * d, kv * d, kv * d});
      q = parts[0], k = parts[1], v = parts[2];
    }
    return {b.splitHeads(q, h), b.splitHeads(k, kv), b.splitHeads(v, kv)};
  }

  static Places placesOf(OnnxBuilder &b, MSGroupQueryAttentionOp op) {
    Places places;
    Type i64 = b.builder.getI64Type();
    Value length = b.binary<AddOp>(
        b.reshape(b.cast(op.getSeqlensK(), i64), {-1}), b.integer(1));
    Value fresh = b.size(op.getQuery(), 1);
    Value past = b.binary<SubOp>(length, fresh);
    // A prompt padded on the right is shorter than S: its past is empty.
    places.pastLength = MaxOp::create(b.builder, b.loc, past.getType(),
                                      ValueRange{past, b.integer(0)});
    Value steps = b.range(fresh);
    places.positions =
        isAbsent(op.getPositionIds())
            ? b.binary<AddOp>(b.unsqueeze(places.pastLength, {1}), steps)
            : op.getPositionIds();
    places.pastSlots =
        isAbsent(op.getPastKey()) ? b.integer(0) : b.size(op.getPastKey(), 2);
    places.keySlots = b.range(b.binary<AddOp>(places.pastSlots, fresh));
    places.mask = maskOf(b, op, places, b.unsqueeze(steps, {1}));
    return places;
  }

  /// Which keys a query attends, with queries given as [S, 1] new tokens.
  static Value maskOf(OnnxBuilder &b, MSGroupQueryAttentionOp op,
                      const Places &places, Value queries) {
    Value past = b.unsqueeze(places.pastLength, {1, 2, 3});
    Value newIndex = b.binary<SubOp>(places.keySlots, places.pastSlots);
    Value ownPast = b.compare<LessOp>(places.keySlots, past);
    Value notLater = b.compare<LessOrEqualOp>(newIndex, queries);
    if (int64_t window = op.getLocalWindowSize(); window != -1) {
      Value end = b.integer(window);
      Value sincePast =
          b.binary<SubOp>(b.binary<AddOp>(past, queries), places.keySlots);
      Value sinceNew = b.binary<SubOp>(queries, newIndex);
      ownPast = b.compare<AndOp>(ownPast, b.compare<LessOp>(sincePast, end));
      notLater = b.compare<AndOp>(notLater, b.compare<LessOp>(sinceNew, end));
    }
    Value isPast = b.compare<LessOp>(places.keySlots, places.pastSlots);
    return b.where(isPast, ownPast, notLater);
  }

  static Value rotate(OnnxBuilder &b, MSGroupQueryAttentionOp op, Value x,
                      Value positions) {
    int64_t half = OnnxBuilder::typeOf(op.getCosCache()).getDimSize(1);
    return RotaryEmbeddingOp::create(
        b.builder, b.loc, x.getType(), x, op.getCosCache(), op.getSinCache(),
        positions, op.getRotaryInterleavedAttr(),
        b.builder.getI64IntegerAttr(2 * half), IntegerAttr());
  }

  static Value attend(OnnxBuilder &b, MSGroupQueryAttentionOp op, Value q,
                      Value k, Value v, Value mask) {
    float scale = op.getScale().convertToFloat();
    if (scale == 0)
      scale = 1 / std::sqrt(static_cast<float>(headSize(op)));
    Value none = b.none();
    Type absent = none.getType();
    auto attention = AttentionOp::create(
        b.builder, b.loc, TypeRange{q.getType(), absent, absent, absent},
        ValueRange{q, k, v, mask, none, none, none});
    attention.setScaleAttr(b.builder.getF32FloatAttr(scale));
    attention.setSoftcapAttr(op.getSoftcapAttr());
    Value rows = b.transpose(attention.getY(), {0, 2, 1, 3});
    int64_t width = op.getNumHeads() * headSize(op);
    return b.reshape(rows, {0, 0, width});
  }

  /// What is known of the cache that the operator returns.
  bool isLengthOfBuffer(MSGroupQueryAttentionOp op) const {
    AffineExpr length = shapes.dim(op.getPresentKey(), 2);
    return length && length != shapes.dims().add(shapes.dim(op.getPastKey(), 2),
                                                 shapes.dim(op.getOutput(), 1));
  }
  bool isTotalOfData(MSGroupQueryAttentionOp op) const {
    const TensorFacts *total = shapes.lookup(op.getTotalSequenceLength());
    return !total || !total->content;
  }

  /// The cache that the operator returns: slot t of a sequence with pastLength
  /// L is past slot t below L, then its new tokens, then 0.
  Value present(OnnxBuilder &b, MSGroupQueryAttentionOp op, Value full,
                const Places &places) const {
    if (isAbsent(op.getPastKey()))
      return full;
    Value total =
        b.scalar(b.cast(op.getTotalSequenceLength(), b.builder.getI64Type()));
    Value slots = places.keySlots;
    if (isLengthOfBuffer(op))
      slots = b.range(MaxOp::create(b.builder, b.loc, total.getType(),
                                    ValueRange{places.pastSlots, total}));
    Value own = b.unsqueeze(places.pastLength, {1});
    Value joined = b.size(full, 2);
    Value moved =
        b.binary<AddOp>(b.binary<SubOp>(slots, own), places.pastSlots);
    Value last = b.binary<SubOp>(joined, b.integer(1));
    Value bounded = MinOp::create(b.builder, b.loc, moved.getType(),
                                  ValueRange{moved, last});
    Value source = b.where(b.compare<LessOp>(slots, own), slots, bounded);
    // How long the result is depends on data then. All but the usual length end
    // the call: no key has this place.
    if (isTotalOfData(op))
      source = b.where(b.compare<EqualOp>(total, joined), source, joined);
    Value rows = b.gatherRows(full, source);
    Value end = b.binary<AddOp>(own, b.size(op.getQuery(), 1));
    Value zero = b.number(0, OnnxBuilder::elementOf(full));
    Value isOwn = b.compare<LessOp>(slots, end);
    return b.where(b.unsqueeze(isOwn, {1, 3}), rows, zero);
  }

  const SymbolicShapes &shapes;
};

struct ExpandMicrosoft
    : qopt::passes::impl::ExpandMicrosoftPassBase<ExpandMicrosoft> {
  void runOnOperation() override {
    SymbolicShapes shapes(&getContext());
    (void)shapes.run(getOperation()); // lowering reports what is wrong
    RewritePatternSet patterns(&getContext());
    patterns.add<ExpandSimplifiedNorm, ExpandSkipSimplifiedNorm, ExpandSkipNorm,
                 ExpandQuickGelu>(&getContext());
    patterns.add<ExpandGroupQueryAttention>(&getContext(), shapes);
    patterns.add<ExpandBiasedGelu<MSBiasGeluOp>>(&getContext(), "none");
    patterns.add<ExpandBiasedGelu<MSFastGeluOp>>(&getContext(), "tanh");
    addMicrosoftAttentionPatterns(patterns);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    returnWhatIsThere(getOperation());
  }
};

} // namespace
