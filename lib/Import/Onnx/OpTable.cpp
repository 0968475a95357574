// The operator table and the general way from a row and a node to an op.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Import/Onnx/OpTable.h"
#include "lib/Import/Onnx/ops/Upgrades.h"

using namespace mlir;

namespace qopt::import {

static constexpr const char *ms = "com.microsoft";
static constexpr const char *reduceAttrs =
    "keepdims:flag noop_with_empty_axes:flag";
static constexpr const char *argAttrs =
    "axis:int keepdims:flag select_last_index:flag";
static constexpr const char *normAttrs =
    "axis:int epsilon:float stash_type:int";

// domain, name, since, inputs (fewest, most), outputs, op, attributes, function
static const OpRow rows[] = {
    // clang-format off
    {"", "Abs", 6, 1, 1, 1, "Abs", "", nullptr},
    {"", "Add", 7, 2, 2, 1, "Add", "", nullptr},
    {"", "And", 7, 2, 2, 1, "And", "", nullptr},
    {"", "ArgMax", 11, 1, 1, 1, "ArgMax", argAttrs, nullptr},
    {"", "ArgMin", 11, 1, 1, 1, "ArgMin", argAttrs, nullptr},
    {"", "Attention", 23, 3, 7, 4, "Attention",
     "is_causal:flag q_num_heads:int kv_num_heads:int scale:float softcap:float softmax_precision:int "
     "qk_matmul_output_mode:int left_window_size:int right_window_size:int", nullptr},
    {"", "BitShift", 11, 2, 2, 1, "BitShift", "direction:word", nullptr},
    {"", "BitwiseAnd", 18, 2, 2, 1, "BitwiseAnd", "", nullptr},
    {"", "BitwiseNot", 18, 1, 1, 1, "BitwiseNot", "", nullptr},
    {"", "BitwiseOr", 18, 2, 2, 1, "BitwiseOr", "", nullptr},
    {"", "BitwiseXor", 18, 2, 2, 1, "BitwiseXor", "", nullptr},
    {"", "Cast", 9, 1, 1, 1, nullptr, "", buildCast},
    {"", "CastLike", 15, 2, 2, 1, nullptr, "", buildCastLike},
    {"", "CausalConvWithState", 27, 2, 4, 2, "CausalConvWithState", "activation:word", nullptr},
    {"", "Ceil", 6, 1, 1, 1, "Ceil", "", nullptr},
    {"", "Clip", 11, 1, 3, 1, "Clip", "", nullptr},
    {"", "Concat", 11, 1, any, 1, "Concat", "axis:int", nullptr},
    {"", "Constant", 11, 0, 0, 1, nullptr, "", buildConstant},
    {"", "ConstantOfShape", 9, 1, 1, 1, "ConstantOfShape", "", buildConstantOfShape},
    {"", "Conv", 11, 2, 3, 1, "Conv", "auto_pad:word group:int", convWindow},
    {"", "ConvInteger", 10, 2, 4, 1, nullptr, "", buildConvInteger},
    {"", "Cos", 7, 1, 1, 1, "Cos", "", nullptr},
    {"", "CumSum", 11, 2, 2, 1, "CumSum", "exclusive:flag reverse:flag", nullptr},
    {"", "DequantizeLinear", 10, 2, 3, 1, nullptr, "", buildDequantizeLinear},
    {"", "Div", 7, 2, 2, 1, "Div", "", nullptr},
    {"", "Dropout", 10, 1, 3, 2, nullptr, "", buildDropout},
    {"", "DynamicQuantizeLinear", 11, 1, 1, 3, "DynamicQuantizeLinear", "", nullptr},
    {"", "Einsum", 12, 1, any, 1, "Einsum", "equation:word", nullptr},
    {"", "Equal", 11, 2, 2, 1, "Equal", "", nullptr},
    {"", "Erf", 9, 1, 1, 1, "Erf", "", nullptr},
    {"", "Exp", 6, 1, 1, 1, "Exp", "", nullptr},
    {"", "Expand", 8, 2, 2, 1, "Expand", "", nullptr},
    {"", "Flatten", 11, 1, 1, 1, "Flatten", "axis:int", nullptr},
    {"", "Floor", 6, 1, 1, 1, "Floor", "", nullptr},
    {"", "Gather", 11, 2, 2, 1, "Gather", "axis:int", nullptr},
    {"", "GatherElements", 11, 2, 2, 1, "GatherElements", "axis:int", nullptr},
    {"", "GatherND", 11, 2, 2, 1, "GatherND", "batch_dims:int", nullptr},
    {"", "Gelu", 20, 1, 1, 1, "Gelu", "approximate:word", nullptr},
    {"", "Gemm", 11, 2, 3, 1, "Gemm", "alpha:float beta:float transA:flag transB:flag", nullptr},
    {"", "Greater", 9, 2, 2, 1, "Greater", "", nullptr},
    {"", "GreaterOrEqual", 12, 2, 2, 1, "GreaterOrEqual", "", nullptr},
    {"", "GroupNormalization", 18, 3, 3, 1, "GroupNormalization",
     "num_groups:int epsilon:float stash_type:int", groupNormForm},
    {"", "Identity", 1, 1, 1, 1, nullptr, "", buildIdentity},
    {"", "If", 11, 1, 1, any, nullptr, "", buildIf},
    {"", "IsInf", 10, 1, 1, 1, "IsInf", "detect_negative:flag detect_positive:flag", nullptr},
    {"", "IsNaN", 9, 1, 1, 1, "IsNaN", "", nullptr},
    {"", "LayerNormalization", 17, 2, 3, 3, "LayerNormalization", normAttrs, nullptr},
    {"", "Less", 9, 2, 2, 1, "Less", "", nullptr},
    {"", "LessOrEqual", 12, 2, 2, 1, "LessOrEqual", "", nullptr},
    {"", "LinearAttention", 27, 3, 6, 2, "LinearAttention",
     "q_num_heads:int kv_num_heads:int scale:float chunk_size:int update_rule:word", nullptr},
    {"", "Log", 6, 1, 1, 1, "Log", "", nullptr},
    {"", "LogSoftmax", 11, 1, 1, 1, nullptr, "", softmaxAxis},
    {"", "LpNormalization", 1, 1, 1, 1, "LpNormalization", "axis:int p:int", nullptr},
    {"", "MatMul", 9, 2, 2, 1, "MatMul", "", nullptr},
    {"", "MatMulInteger", 10, 2, 4, 1, "MatMulInteger", "", nullptr},
    {"", "Max", 8, 1, any, 1, "Max", "", nullptr},
    {"", "Min", 8, 1, any, 1, "Min", "", nullptr},
    {"", "Mod", 10, 2, 2, 1, "Mod", "fmod:flag", nullptr},
    {"", "Mul", 7, 2, 2, 1, "Mul", "", nullptr},
    {"", "Neg", 6, 1, 1, 1, "Neg", "", nullptr},
    {"", "NonZero", 9, 1, 1, 1, "NonZero", "", nullptr},
    {"", "Not", 1, 1, 1, 1, "Not", "", nullptr},
    {"", "OneHot", 11, 3, 3, 1, "OneHot", "axis:int", nullptr},
    {"", "Or", 7, 2, 2, 1, "Or", "", nullptr},
    {"", "Pad", 11, 2, 4, 1, "Pad", "mode:word", nullptr},
    {"", "Pow", 7, 2, 2, 1, "Pow", "", nullptr},
    {"", "QLinearConv", 10, 8, 9, 1, nullptr, "", buildQLinearConv},
    {"", "QLinearMatMul", 10, 8, 8, 1, "QLinearMatMul", "", nullptr},
    {"", "QuantizeLinear", 10, 2, 3, 1, nullptr, "", buildQuantizeLinear},
    {"", "RMSNormalization", 23, 2, 2, 1, "RMSNormalization", normAttrs, nullptr},
    {"", "Range", 11, 3, 3, 1, "Range", "", rangeStash},
    {"", "Reciprocal", 6, 1, 1, 1, "Reciprocal", "", nullptr},
    {"", "ReduceL1", 11, 1, 2, 1, "ReduceL1", reduceAttrs, reduceAxes},
    {"", "ReduceL2", 11, 1, 2, 1, "ReduceL2", reduceAttrs, reduceAxes},
    {"", "ReduceLogSumExp", 11, 1, 2, 1, "ReduceLogSumExp", reduceAttrs, reduceAxes},
    {"", "ReduceMax", 11, 1, 2, 1, "ReduceMax", reduceAttrs, reduceAxes},
    {"", "ReduceMean", 11, 1, 2, 1, "ReduceMean", reduceAttrs, reduceAxes},
    {"", "ReduceMin", 11, 1, 2, 1, "ReduceMin", reduceAttrs, reduceAxes},
    {"", "ReduceProd", 11, 1, 2, 1, "ReduceProd", reduceAttrs, reduceAxes},
    {"", "ReduceSum", 11, 1, 2, 1, "ReduceSum", reduceAttrs, squeezeAxes},
    {"", "ReduceSumSquare", 11, 1, 2, 1, "ReduceSumSquare", reduceAttrs, reduceAxes},
    {"", "Relu", 6, 1, 1, 1, "Relu", "", nullptr},
    {"", "Reshape", 5, 2, 2, 1, "Reshape", "allowzero:flag", nullptr},
    {"", "RotaryEmbedding", 23, 3, 4, 1, "RotaryEmbedding",
     "interleaved:flag rotary_embedding_dim:int num_heads:int", nullptr},
    {"", "Round", 11, 1, 1, 1, "Round", "", nullptr},
    {"", "ScatterElements", 11, 3, 3, 1, "ScatterElements", "axis:int reduction:word", nullptr},
    {"", "ScatterND", 11, 3, 3, 1, "ScatterND", "reduction:word", nullptr},
    {"", "Shape", 1, 1, 1, 1, "Shape", "start:int end:int", nullptr},
    {"", "Sigmoid", 6, 1, 1, 1, "Sigmoid", "", nullptr},
    {"", "Sign", 9, 1, 1, 1, "Sign", "", nullptr},
    {"", "SimplifiedLayerNormalization", 1, 2, 2, 2, "ms.SimplifiedLayerNormalization", normAttrs, nullptr},
    {"", "Sin", 7, 1, 1, 1, "Sin", "", nullptr},
    {"", "Size", 1, 1, 1, 1, "Size", "", nullptr},
    {"", "Slice", 10, 3, 5, 1, "Slice", "", nullptr},
    {"", "Softmax", 11, 1, 1, 1, nullptr, "", softmaxAxis},
    {"", "Softplus", 1, 1, 1, 1, "Softplus", "", nullptr},
    {"", "Split", 11, 1, 2, any, "Split", "axis:int", splitLengths},
    {"", "Sqrt", 6, 1, 1, 1, "Sqrt", "", nullptr},
    {"", "Squeeze", 11, 1, 2, 1, "Squeeze", "", squeezeAxes},
    {"", "Sub", 7, 2, 2, 1, "Sub", "", nullptr},
    {"", "Sum", 8, 1, any, 1, "Sum", "", nullptr},
    {"", "SwiGLU", 28, 2, 2, 1, "SwiGLU", "alpha:float", nullptr},
    {"", "Swish", 24, 1, 1, 1, "Swish", "alpha:float", nullptr},
    {"", "Tanh", 6, 1, 1, 1, "Tanh", "", nullptr},
    {"", "TensorScatter", 24, 2, 3, 1, "TensorScatter", "axis:int mode:word", nullptr},
    {"", "Tile", 6, 2, 2, 1, "Tile", "", nullptr},
    {"", "TopK", 11, 2, 2, 2, "TopK", "axis:int largest:flag sorted:flag", nullptr},
    {"", "Transpose", 1, 1, 1, 1, "Transpose", "", transposePerm},
    {"", "Trilu", 14, 1, 2, 1, "Trilu", "upper:flag", nullptr},
    {"", "Unsqueeze", 11, 1, 2, 1, "Unsqueeze", "", squeezeAxes},
    {"", "Where", 9, 3, 3, 1, "Where", "", nullptr},
    {"", "Xor", 7, 2, 2, 1, "Xor", "", nullptr},

    {ms, "Attention", 1, 2, 7, 2, "ms.Attention",
     "num_heads:int unidirectional:flag do_rotary:flag rotary_embedding_dim:int past_present_share_buffer:flag "
     "mask_filter_value:float scale:float qkv_hidden_sizes:ints", nullptr},
    {ms, "BiasGelu", 1, 2, 2, 1, "ms.BiasGelu", "", nullptr},
    {ms, "DecoderMaskedMultiHeadAttention", 1, 1, 11, 3, nullptr, "", buildDecoderMaskedMultiHeadAttention},
    {ms, "DecoderMaskedSelfAttention", 1, 3, 9, 2, nullptr, "", buildDecoderMaskedSelfAttention},
    {ms, "DequantizeLinear", 1, 2, 3, 1, nullptr, "", buildDequantizeLinear},
    {ms, "DynamicQuantizeMatMul", 1, 3, 5, 1, nullptr, "", buildDynamicQuantizeMatMul},
    {ms, "EmbedLayerNormalization", 1, 7, 9, 3, "ms.EmbedLayerNormalization",
     "epsilon:float mask_index_type:int", nullptr},
    {ms, "FastGelu", 1, 1, 2, 1, "ms.FastGelu", "", nullptr},
    {ms, "FusedMatMul", 1, 2, 2, 1, "ms.FusedMatMul", "alpha:float transA:flag transB:flag", fusedMatMulForm},
    {ms, "GatherBlockQuantized", 1, 3, 4, 1, "ms.GatherBlockQuantized",
     "bits:int block_size:int gather_axis:int quantize_axis:int", nullptr},
    {ms, "GatedRelativePositionBias", 1, 6, 7, 1, nullptr, "", buildGatedRelativePositionBias},
    {ms, "Gelu", 1, 1, 1, 1, "Gelu", "", nullptr},
    {ms, "GemmFloat8", 1, 2, 6, 1, nullptr, "", buildGemmFloat8},
    {ms, "GemmaRotaryEmbedding", 1, 5, 5, 2, nullptr, "", buildGemmaRotaryEmbedding},
    {ms, "GroupQueryAttention", 1, 7, 16, 4, "ms.GroupQueryAttention",
     "num_heads:int kv_num_heads:int do_rotary:flag rotary_interleaved:flag causal:flag local_window_size:int "
     "scale:float softcap:float smooth_softmax:int qk_output:int qk_norm_epsilon:float kv_cache_bit_width:int "
     "k_quant_type:word v_quant_type:word", groupQueryForm},
    {ms, "MRotaryEmbedding", 1, 4, 4, 1, nullptr, "", buildMRotaryEmbedding},
    {ms, "MatMulBlockQuantizedFp4Weight", 1, 4, 6, 1, nullptr, "", buildMatMulBlockQuantizedFp4Weight},
    {ms, "MatMulBlockQuantizedFp8Weight", 1, 3, 5, 1, nullptr, "", buildMatMulBlockQuantizedFp8Weight},
    {ms, "MatMulBnb4", 1, 3, 3, 1, nullptr, "", buildMatMulBnb4},
    {ms, "MatMulIntegerToFloat", 1, 4, 7, 1, nullptr, "", buildMatMulIntegerToFloat},
    {ms, "MatMulNBits", 1, 3, 6, 1, "ms.MatMulNBits",
     "K:int N:int bits:int block_size:int accuracy_level:int", matMulNBitsForm},
    {ms, "MatMulNBitsMlp", 1, 1, 9, 2, nullptr, "", buildMatMulNBitsMlp},
    {ms, "MatMulNBitsQkv", 1, 1, 12, 4, nullptr, "", buildMatMulNBitsQkv},
    {ms, "MoE", 1, 3, 8, 1, nullptr, "", buildMoE},
    {ms, "MultiHeadAttention", 1, 1, 10, 4, "ms.MultiHeadAttention",
     "num_heads:int mask_filter_value:float scale:float unidirectional:flag", nullptr},
    {ms, "PackedAttention", 1, 5, 6, 1, nullptr, "", buildPackedAttention},
    {ms, "PackedMultiHeadAttention", 1, 1, 7, 1, nullptr, "", buildPackedMultiHeadAttention},
    {ms, "QAttention", 1, 5, 9, 2, nullptr, "", buildQAttention},
    {ms, "QGemm", 1, 6, 9, 1, nullptr, "", buildQGemm},
    {ms, "QMoE", 1, 3, 21, 1, nullptr, "", buildQMoE},
    {ms, "QuantizeLinear", 1, 2, 3, 1, nullptr, "", buildQuantizeLinear},
    {ms, "QuickGelu", 1, 1, 1, 1, "ms.QuickGelu", "alpha:float", nullptr},
    {ms, "RelativePositionBias", 1, 3, 3, 1, nullptr, "", buildRelativePositionBias},
    {ms, "RotaryEmbedding", 1, 4, 4, 1, "ms.RotaryEmbedding",
     "interleaved:flag is_packed_batching:flag num_heads:int rotary_embedding_dim:int scale:float", nullptr},
    {ms, "SimplifiedLayerNormalization", 1, 2, 2, 2, "ms.SimplifiedLayerNormalization", normAttrs, nullptr},
    {ms, "SkipLayerNormalization", 1, 3, 5, 4, "ms.SkipLayerNormalization", "epsilon:float", nullptr},
    {ms, "SkipSimplifiedLayerNormalization", 1, 3, 4, 4, "ms.SkipSimplifiedLayerNormalization",
     "epsilon:float", nullptr},
    // clang-format on
};

ArrayRef<OpRow> opTable() { return rows; }

const OpRow *findOp(StringRef domain, StringRef name) {
  if (domain == "ai.onnx")
    domain = "";
  for (const OpRow &row : rows)
    if (domain == row.domain && name == row.name)
      return &row;
  return nullptr;
}

StringRef hintFor(StringRef name) {
  if (name == "BeamSearch" || name == "GreedySearch" || name == "Sampling" ||
      name == "WhisperBeamSearch")
    return "export the model without its search loop; qopt-run samples itself";
  if (name == "EPContext")
    return "the node holds code compiled for another runtime; start from the "
           "model it was made of";
  if (name == "PagedAttention")
    return "its cache belongs to another runtime; export the model with "
           "GroupQueryAttention";
  if (name == "MatMulFpQ4")
    return "its weights lie in another runtime's layout; quantize the model to "
           "MatMulNBits";
  if (name == "SparseAttention" || name == "LongformerAttention")
    return "attention to chosen blocks of keys is not supported; export the "
           "model with dense attention";
  if (name == "Loop" || name == "Scan")
    return "loops are not supported; export with fixed iterations unrolled";
  if (name.starts_with("String") || name == "Tokenizer")
    return "string operators are not supported; tokenize outside the model";
  return "";
}

/// Copies one attribute of the file to the op to be created.
static Status copyAttribute(NodeContext &node, StringRef name, StringRef kind) {
  if (!node.hasAttribute(name) || node.isSet(name))
    return {};
  OpBuilder &b = node.builder();
  if (kind == "int")
    node.set(name, b.getI64IntegerAttr(node.integer(name, 0)));
  else if (kind == "flag")
    node.set(name, b.getBoolAttr(node.integer(name, 0) != 0));
  else if (kind == "float")
    node.set(name, b.getF32FloatAttr(node.number(name, 0)));
  else if (kind == "word")
    node.set(name, b.getStringAttr(node.text(name, "")));
  else
    node.set(name, b.getDenseI64ArrayAttr(node.integers(name)));
  return {};
}

static Status checkCounts(const OpRow &row, NodeContext &node) {
  int inputs = node.node().input_size();
  while (inputs > 0 && node.node().input(inputs - 1).empty())
    --inputs;
  if (inputs < row.minInputs ||
      (row.maxInputs != any && inputs > row.maxInputs))
    return Status(StatusCode::BadModel,
                  "the node has " + std::to_string(inputs) +
                      " inputs; expected " + std::to_string(row.minInputs) +
                      (row.maxInputs == any ? " or more"
                       : row.maxInputs == row.minInputs
                           ? ""
                           : " to " + std::to_string(row.maxInputs)));
  int outputs = node.numOutputs();
  if (outputs < 1 || (row.outputs != any && outputs > row.outputs))
    return Status(
        StatusCode::BadModel,
        "the node has " + std::to_string(outputs) + " outputs; expected 1" +
            (row.outputs == 1     ? ""
             : row.outputs == any ? " or more"
                                  : " to " + std::to_string(row.outputs)));
  return {};
}

/// Inputs that must be there and are written as an empty name, or come from a
/// function's parameter that nobody gave. Where com.microsoft has optional ones
/// ahead of others the op's own verifier knows which.
static Status checkPresent(const OpRow &row, NodeContext &node) {
  if (row.domain == StringRef(ms) && row.target)
    return {};
  for (int i = 0; i < row.minInputs; ++i)
    if (!node.hasInput(i))
      return Status(StatusCode::BadModel, "input " + std::to_string(i) +
                                              " is absent; expected a tensor");
  return {};
}

Status importThrough(const OpRow &row, NodeContext &node) {
  QOPT_RETURN_IF_ERROR(checkCounts(row, node));
  QOPT_RETURN_IF_ERROR(checkPresent(row, node));
  if (row.maxInputs != any) {
    node.dropInputsFrom(row.maxInputs);
    // What the file leaves out at the end becomes none, except where the row's
    // function writes the operands itself.
    for (int i = 0; i < row.maxInputs; ++i)
      if (!node.hasInput(i) && (row.target || i < node.node().input_size()))
        node.setInput(i, node.none());
  }
  if (row.build)
    QOPT_RETURN_IF_ERROR(row.build(node));
  if (row.target) {
    SmallVector<StringRef> attributes;
    StringRef(row.attributes).split(attributes, ' ', -1, /*KeepEmpty=*/false);
    for (StringRef attribute : attributes) {
      auto [name, kind] = attribute.split(':');
      QOPT_RETURN_IF_ERROR(copyAttribute(node, name, kind));
    }
    unsigned results = row.outputs == any ? node.numOutputs() : row.outputs;
    // A type of the wrong kind must not reach the op.
    QOPT_RETURN_IF_ERROR(node.attributeStatus());
    QOPT_RETURN_IF_ERROR(node.finish(row.target, results));
  }
  return node.attributeStatus();
}

} // namespace qopt::import
