// Fused operators of com.microsoft say in one node what other exporters write
// with standard ones. Writing them out first keeps every raising pattern
// single: what comes after this pass never asks which exporter wrote the file.
// MatMulNBits and GatherBlockQuantized stay: they carry weights, not structure.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/OnnxDialect.h"
#include "dialects/Onnx/OnnxOps.h"
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

bool isUnused(Value result) { return isAbsent(result) || result.use_empty(); }

struct ExpandSimplifiedNorm
    : OpRewritePattern<MSSimplifiedLayerNormalizationOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MSSimplifiedLayerNormalizationOp op,
                                PatternRewriter &rewriter) const override {
    if (!isUnused(op.getInvStdVar()))
      return rewriter.notifyMatchFailure(op, "the deviation is used");
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
    if (!isUnused(op.getMean()) || !isUnused(op.getInvStdVar()))
      return rewriter.notifyMatchFailure(op, "mean or deviation is used");
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
    if (!isUnused(op.getMean()) || !isUnused(op.getInvStdVar()))
      return rewriter.notifyMatchFailure(op, "mean or deviation is used");
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
/// operator's `present` has the new keys right behind the sequence's own past,
/// which for sequences of equal length is the same tensor.
class ExpandGroupQueryAttention
    : public OpRewritePattern<MSGroupQueryAttentionOp> {
public:
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MSGroupQueryAttentionOp op,
                                PatternRewriter &rewriter) const override {
    if (StringRef reason = refusal(op); !reason.empty())
      return rewriter.notifyMatchFailure(op, reason);
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

  static StringRef refusal(MSGroupQueryAttentionOp op) {
    if (!isAbsent(op.getAttentionBias()) || !isAbsent(op.getHeadSink()) ||
        !isAbsent(op.getQNormWeight()) || !isAbsent(op.getKNormWeight()))
      return "attention bias, sinks and query or key norms are not expanded";
    if (!isAbsent(op.getKScale()) || op.getKQuantType() != "NONE")
      return "a quantized cache is not expanded";
    if (static_cast<int64_t>(op.getLocalWindowSize()) != -1 ||
        !op.getCausal() || op.getSmoothSoftmax() == 1 ||
        !isUnused(op.getOutputQk()))
      return "windows, full attention, smooth softmax and score output are "
             "not expanded";
    if (isAbsent(op.getKey()) != isAbsent(op.getValue()))
      return "key and value must both be packed or both be given";
    return {};
  }

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
    auto split = [&](Value x, int64_t count) {
      return b.transpose(b.reshape(x, {0, 0, count, d}), {0, 2, 1, 3});
    };
    return {split(q, h), split(k, kv), split(v, kv)};
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
    Value isPast = b.compare<LessOp>(places.keySlots, places.pastSlots);
    Value ownPast = b.compare<LessOp>(
        places.keySlots, b.unsqueeze(places.pastLength, {1, 2, 3}));
    Value newIndex = b.binary<SubOp>(places.keySlots, places.pastSlots);
    Value notLater =
        b.compare<LessOrEqualOp>(newIndex, b.unsqueeze(steps, {1}));
    places.mask = b.where(isPast, ownPast, notLater);
    return places;
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

  /// The cache that the operator returns: slot t of a sequence with pastLength
  /// L is past slot t below L, then its new tokens.
  static Value present(OnnxBuilder &b, MSGroupQueryAttentionOp op, Value full,
                       const Places &places) {
    if (isAbsent(op.getPastKey()))
      return full;
    Value length = b.unsqueeze(places.pastLength, {1});
    Value last = b.binary<SubOp>(b.size(full, 2), b.integer(1));
    Value moved = b.binary<AddOp>(b.binary<SubOp>(places.keySlots, length),
                                  places.pastSlots);
    Value bounded = MinOp::create(b.builder, b.loc, moved.getType(),
                                  ValueRange{moved, last});
    Value source = b.where(b.compare<LessOp>(places.keySlots, length),
                           places.keySlots, bounded);
    auto type = OnnxBuilder::typeOf(full).clone(b.builder.getI64Type());
    Value indices = ExpandOp::create(
        b.builder, b.loc, type, b.unsqueeze(source, {1, 3}),
        ShapeOp::create(b.builder, b.loc,
                        RankedTensorType::get({4}, b.builder.getI64Type()),
                        full, b.builder.getI64IntegerAttr(0), IntegerAttr()));
    return GatherElementsOp::create(b.builder, b.loc, full.getType(), full,
                                    indices, b.builder.getI64IntegerAttr(2));
  }
};

struct ExpandMicrosoft
    : qopt::passes::impl::ExpandMicrosoftPassBase<ExpandMicrosoft> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<ExpandSimplifiedNorm, ExpandSkipSimplifiedNorm, ExpandSkipNorm,
                 ExpandQuickGelu, ExpandGroupQueryAttention>(&getContext());
    patterns.add<ExpandBiasedGelu<MSBiasGeluOp>>(&getContext(), "none");
    patterns.add<ExpandBiasedGelu<MSFastGeluOp>>(&getContext(), "tanh");
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
