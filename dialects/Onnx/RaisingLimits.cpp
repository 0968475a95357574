// Every attribute, operand and size of an operator that its raising or
// expansion does not know is asked for here, so that none is left out.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/RaisingLimits.h"
#include "dialects/Onnx/OnnxOps.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace qopt::onnx {

static bool isUsed(Value result) {
  return !isAbsent(result) && !result.use_empty();
}

/// What is not known of how a GroupQueryAttention attends.
static StringRef limitOfScores(MSGroupQueryAttentionOp op) {
  if (!isAbsent(op.getAttentionBias()))
    return "attention_bias is not supported";
  if (!isAbsent(op.getHeadSink()))
    return "head_sink is not supported";
  if (!isAbsent(op.getQNormWeight()) || !isAbsent(op.getKNormWeight()))
    return "norms of queries and keys within the operator are not supported";
  if (int64_t window = op.getLocalWindowSize(); window != -1 && window < 1)
    return "local_window_size is neither -1 nor a number of tokens";
  if (!op.getCausal())
    return "attention that is not causal is not supported";
  if (op.getSmoothSoftmax() == 1)
    return "smooth_softmax is not supported";
  if (isUsed(op.getOutputQk()))
    return "its output of scores is not supported";
  return {};
}

static StringRef limitOfGroupQuery(MSGroupQueryAttentionOp op) {
  if (!isAbsent(op.getKScale()) || !isAbsent(op.getVScale()) ||
      op.getKQuantType() != "NONE" || op.getVQuantType() != "NONE")
    return "a quantized cache is not supported";
  if (isAbsent(op.getKey()) != isAbsent(op.getValue()))
    return "only one of key and value is given";
  if (isAbsent(op.getPastKey()) != isAbsent(op.getPastValue()))
    return "only one of past_key and past_value is given";
  int64_t width = cast<RankedTensorType>(op.getQuery().getType()).getDimSize(2);
  if (ShapedType::isDynamic(width))
    return "the channels of its query are not known before it runs";
  int64_t heads = op.getNumHeads(), keyHeads = op.getKvNumHeads();
  int64_t parts = isAbsent(op.getKey()) ? heads + 2 * keyHeads : heads;
  if (heads < 1 || keyHeads < 1 || width < parts || width % parts)
    return "the channels of its query are not its heads times a size";
  if (!op.getDoRotary())
    return limitOfScores(op);
  for (Value table : {op.getCosCache(), op.getSinCache()}) {
    auto type = dyn_cast<RankedTensorType>(table.getType());
    if (!type || type.getRank() != 2 || type.isDynamicDim(1))
      return "do_rotary is set and cos_cache or sin_cache is no table with a "
             "known number of columns";
  }
  return limitOfScores(op);
}

template <typename Op> static StringRef limitOfSkipNorm(Op op) {
  return isUsed(op.getMean()) || isUsed(op.getInvStdVar())
             ? "its output of a mean or deviation is not supported"
             : "";
}

static int64_t rankOf(Value value) {
  return cast<RankedTensorType>(value.getType()).getRank();
}

static bool isDynamicIn(Value value, unsigned axis) {
  return cast<RankedTensorType>(value.getType()).isDynamicDim(axis);
}

static StringRef limitOfPacked(MSAttentionOp op) {
  if (op.getDoRotary())
    return "do_rotary is not supported";
  if (!isAbsent(op.getPastSequenceLength()) || op.getPastPresentShareBuffer())
    return "a past with room for new tokens is not supported";
  if (!isAbsent(op.getMaskIndex()) &&
      (rankOf(op.getMaskIndex()) < 1 || rankOf(op.getMaskIndex()) > 3))
    return "its mask index is neither lengths nor a mask of keys";
  if (isDynamicIn(op.getWeights(), 1))
    return "the columns of its weights are not known before it runs";
  return {};
}

static StringRef limitOfMultiHead(MSMultiHeadAttentionOp op) {
  if (!isAbsent(op.getPastSequenceLength()) ||
      !isAbsent(op.getCacheIndirection()))
    return "a past with room for new tokens is not supported";
  if (isAbsent(op.getPastKey()) != isAbsent(op.getPastValue()))
    return "only one of past_key and past_value is given";
  if (isUsed(op.getQk()))
    return "its output of scores is not supported";
  if (!isAbsent(op.getKeyPaddingMask()) &&
      (rankOf(op.getKeyPaddingMask()) < 1 ||
       rankOf(op.getKeyPaddingMask()) > 3))
    return "its padding mask is neither lengths nor a mask of keys";
  bool packed = rankOf(op.getQuery()) == 5;
  if (packed ? !isAbsent(op.getKey()) || !isAbsent(op.getValue())
             : isAbsent(op.getKey()))
    return "its query, key and value are neither apart nor in one tensor";
  SmallVector<Value> parts{op.getQuery()};
  if (!packed) {
    bool pair = rankOf(op.getKey()) == 5;
    if (pair != isAbsent(op.getValue()))
      return "only one of key and value is given";
    parts.push_back(op.getKey());
    if (!pair)
      parts.push_back(op.getValue());
  }
  for (Value part : parts) {
    int64_t rank = rankOf(part);
    if (rank == 4 && !isAbsent(op.getBias()))
      return "a bias of cached keys is not supported";
    if (rank < 3 || rank > 5 || isDynamicIn(part, rank - 1) ||
        (rank > 3 && isDynamicIn(part, rank == 4 ? 1 : 2)))
      return "the number or the size of its heads is not known before it runs";
  }
  return {};
}

static StringRef limitOfRotary(MSRotaryEmbeddingOp op) {
  if (op.getIsPackedBatching() || op.getScale().convertToFloat() != 1)
    return "is_packed_batching and a scale are not supported";
  if (rankOf(op.getX()) == 3 ? isDynamicIn(op.getX(), 2)
                             : isDynamicIn(op.getX(), 3))
    return "the size of its heads is not known before it runs";
  if (op.getNumHeads() == 0 && rankOf(op.getX()) == 3 &&
      (op.getRotaryEmbeddingDim() != 0 || isDynamicIn(op.getCosCache(), 1)))
    return "its number of heads is not known";
  return {};
}

/// Whether heads [B, H, S, D] or channels [B, S, H * D] are numbers.
static bool hasKnownHeads(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && !type.isDynamicDim(type.getRank() - 1) &&
         (type.getRank() != 4 || !type.isDynamicDim(1));
}

static constexpr StringRef unknownHeads =
    "the number or the size of its heads is not known before it runs; name the "
    "dimensions of the model's inputs, or fix them";

static bool isScalar(Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  return type.getRank() == 0 ||
         (type.getRank() == 1 && type.getDimSize(0) == 1);
}

static StringRef limitOfQuantizedProduct(QLinearMatMulOp op) {
  for (Value codes : {op.getA(), op.getB(), op.getY()})
    if (!getElementTypeOrSelf(codes).isInteger())
      return "products of 8-bit floats are supported only as Q/DQ nodes";
  if (!isScalar(op.getYScale()) || !isScalar(op.getYZeroPoint()))
    return "expected one scale and one zero point for all of its result";
  return {};
}

llvm::StringRef limitOf(Operation *op) {
  return TypeSwitch<Operation *, StringRef>(op)
      .Case([](AttentionOp op) {
        return hasKnownHeads(op.getQ()) ? "" : unknownHeads;
      })
      .Case([](RotaryEmbeddingOp op) {
        return hasKnownHeads(op.getX()) ? "" : unknownHeads;
      })
      .Case([](QLinearMatMulOp op) { return limitOfQuantizedProduct(op); })
      .Case([](CausalConvWithStateOp op) {
        auto weights = cast<RankedTensorType>(op.getW().getType());
        return weights.isDynamicDim(0) || weights.isDynamicDim(2)
                   ? "the sizes of its weights are not known before it runs"
                   : "";
      })
      .Case([](MSGroupQueryAttentionOp op) { return limitOfGroupQuery(op); })
      .Case<MSSkipLayerNormalizationOp, MSSkipSimplifiedLayerNormalizationOp>(
          [](auto op) { return limitOfSkipNorm(op); })
      .Case([](MSSimplifiedLayerNormalizationOp op) {
        return isUsed(op.getInvStdVar())
                   ? "its output of a deviation is not supported"
                   : "";
      })
      .Case([](MSAttentionOp op) { return limitOfPacked(op); })
      .Case([](MSMultiHeadAttentionOp op) { return limitOfMultiHead(op); })
      .Case([](MSEmbedLayerNormalizationOp op) {
        if (isUsed(op.getMaskIndex()) && op.getMaskIndexType() != 0)
          return "its mask index is not the number of tokens";
        return isAbsent(op.getSegmentIds()) ==
                       isAbsent(op.getSegmentEmbedding())
                   ? ""
                   : "only one of segment_ids and segment_embedding is given";
      })
      .Case([](MSRotaryEmbeddingOp op) { return limitOfRotary(op); })
      .Default(StringRef());
}

} // namespace qopt::onnx
