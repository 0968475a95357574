// The passes of the stage raise: from the onnx dialect to what the model means.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_RAISE_PASSES
#define QOPT_PASSES_RAISE_PASSES

include "mlir/Pass/PassBase.td"

def ExpandMicrosoftPass : Pass<"qopt-expand-microsoft", "::mlir::func::FuncOp"> {
  let summary = "write fused operators of com.microsoft with standard ones";
  let description = [{
    Before: any onnx function. After: no skip or simplified layer normalization, no bias, fast or quick GELU of
    com.microsoft and no GroupQueryAttention; standard operators in their place, so that the patterns that raise a model
    exist once. What RaisingLimits.h names stays, and LowerOnnx gives the reason. Numerics: exact (the same real-number
    formula; residual sums in the same order). Method: one pattern an operator, after onnxruntime's ContribOperators.md.
    Example: test/passes/Raise/expand-microsoft.mlir, expand-group-query.mlir.
  }];
  let dependentDialects = ["::qopt::onnx::OnnxDialect"];
}

def ExpandOnnxPass : Pass<"qopt-expand-onnx", "::mlir::func::FuncOp"> {
  let summary = "write operators that say several things with simpler ones";
  let description = [{
    Before: any onnx function. After: no DynamicQuantizeLinear, GroupNormalization and CausalConvWithState, but what their
    definitions say. Numerics: exact. Method: one pattern an operator, after ONNX's Operators.md. Example:
    test/passes/Raise/expand-onnx.mlir.
  }];
  let dependentDialects = ["::qopt::onnx::OnnxDialect"];
}

def RaiseCodeProductsPass : Pass<"qopt-raise-code-products", "::mlir::func::FuncOp"> {
  let summary = "products of codes with constants as linears";
  let description = [{
    Before: onnx. After: of constant matrices of 8-bit codes, MatMulInteger with the scales behind it, MatMul and Gemm of
    two DequantizeLinear and QLinearMatMul are a qopt.linear of qopt.from_codes, which sums in integers; a bias that
    DequantizeLinear makes of constants is a constant. Numerics: exact for MatMulInteger and QLinearMatMul, whose factor
    a_scale b_scale / y_scale are the scales of the weight, as onnxruntime has it; reassociates for DequantizeLinear: the
    sum is exact and the scales, which factor out of it, come behind. Method: Jacob et al., arXiv 1712.05877, equation 7.
    Example: test/passes/Raise/raise-code-products.mlir.
  }];
  let options = [
    Option<"symmetric", "symmetric", "bool", "false", "leave products whose weight has zero points, as GPU kernels do">,
  ];
  let dependentDialects = ["::qopt::ir::QOptDialect", "::qopt::onnx::OnnxDialect"];
}

def ExpandCodeProductsPass : Pass<"qopt-expand-code-products", "::mlir::func::FuncOp"> {
  let summary = "write products of codes with simpler operators";
  let description = [{
    Before: onnx. After: no MatMulInteger and QLinearMatMul, but what their definitions say. Numerics: exact in integers;
    QLinearMatMul multiplies with one factor a_scale b_scale / y_scale, as onnxruntime does. Method: one pattern an
    operator, after ONNX's Operators.md. Example: test/passes/Raise/expand-code-products.mlir.
  }];
  let dependentDialects = ["::qopt::onnx::OnnxDialect"];
}

def RaiseRequirementsPass : Pass<"qopt-raise-requirements", "::mlir::func::FuncOp"> {
  let summary = "what operators ask of sizes as operations on sizes";
  let description = [{
    Before: onnx alone. After: a qopt.require at the start of the function for what an operator asks of its operands'
    sizes and the dimension names do not prove, each question once; the operators stay. Sizes that are numbers and do
    not fit are an error. Numerics: exact. Method: shape inference notes where it assumes something
    (SymbolicShapes::require); sizes are expressions over the function's arguments. Example:
    test/passes/Raise/raise-requirements.mlir.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::tensor::TensorDialect", "::qopt::ir::QOptDialect"];
}

def FoldWeightsPass : Pass<"qopt-fold-weights", "::mlir::func::FuncOp"> {
  let summary = "weights that are computed as constants";
  let description = [{
    Before: onnx. After: no Cast, Concat, Slice, Split, Reshape, Squeeze, Unsqueeze or arithmetic of weights alone, but what
    they give, as a constant; a Cast that widens a matrix for a product or a look-up stays, for raising looks through it.
    Numerics: exact (each operator's own rounding). Method: the reference evaluator; the result has the first weight's
    name. Example: test/passes/Raise/fold-weights.mlir.
  }];
}

def RaiseWeightsPass : Pass<"qopt-raise-weights", "::mlir::func::FuncOp"> {
  let summary = "products and look-ups with constants as ops on weights";
  let description = [{
    Before: onnx with constants in canonical places. After: MatMul and Gemm with a constant matrix, MatMulNBits and
    blocked DequantizeLinear before MatMul are qopt.linear, Gather and GatherBlockQuantized of constant rows are
    qopt.embedding; a constant vector added to a linear is its bias. A Cast that widens the matrix is left out. Numerics: exact. Method: the attributes of
    qopt.weight say how the file stores the matrix; no byte is touched. Example: test/passes/Raise/raise-weights.mlir.
  }];
  let dependentDialects = ["::qopt::ir::QOptDialect"];
}

def FoldEqualWeightsPass : Pass<"qopt-fold-equal-weights", "::mlir::func::FuncOp"> {
  let summary = "one weight for a table and its copy in a product";
  let description = [{
    Before: linears and embeddings of weights. After: a linear whose float weight has the elements of a table that is
    looked up, transposed or not, reads that table. Numerics: exact. Method: elements are compared bit for bit, up to the
    first that differs. Example: test/passes/Raise/fold-equal-weights.mlir.
  }];
}

def GroupProjectionRowsPass : Pass<"qopt-group-projection-rows", "::mlir::func::FuncOp"> {
  let summary = "pieces of every head side by side";
  let description = [{
    Before: a linear whose result, by heads, is read in pieces of every head: q0 k0 v0, q1 k1 v1, … After: the weight's rows
    and the bias in the order q0 q1 … k0 k1 … v0 v1 …, so that each piece is a range of columns; weights with scales are
    left alone. Numerics: exact. Method: all readers of the reshaped result are equal pieces of its last axis or places of
    the one before it, and its other axes are the linear's. Example: test/passes/Raise/group-projection-rows.mlir.
  }];
  let dependentDialects = ["::qopt::ir::QOptDialect", "::qopt::onnx::OnnxDialect"];
}

def RaiseNormsPass : Pass<"qopt-raise-norms", "::mlir::func::FuncOp"> {
  let summary = "RMS and layer normalisations as one op each";
  let description = [{
    Before: onnx, spelt out or as operators, over the last axis. After: qopt.rms_norm and qopt.layer_norm. Numerics:
    reassociates (the sums of a spelt-out norm). Method: x / sqrt(mean(x^2) + e) in its spellings; of centred values it
    is a layer norm. Example: test/passes/Raise/raise-norms.mlir.
  }];
  let dependentDialects = ["::qopt::ir::QOptDialect", "::qopt::onnx::OnnxDialect"];
}

def RaiseActivationsPass : Pass<"qopt-raise-activations", "::mlir::func::FuncOp"> {
  let summary = "activation functions, recognised by their values";
  let description = [{
    Before: onnx elementwise ops, and ScatterElements of TopK of Softmax. After: qopt.activation, qopt.gated_activation and
    qopt.route. Numerics: reassociates. Method: the expression between a tensor and a product is evaluated at sample points
    in double precision and compared with each known function (2e-5). Example: test/passes/Raise/raise-activations.mlir,
    test/passes/Raise/raise-routing.mlir.
  }];
  let dependentDialects = ["::qopt::ir::QOptDialect"];
}

def RaiseRotaryPass : Pass<"qopt-raise-rotary", "::mlir::func::FuncOp"> {
  let summary = "rotary position embedding as one op on its table";
  let description = [{
    Before: RotaryEmbedding, or x cos + turned(x) sin, of all channels or the first ones. After: qopt.rotary on
    [B, S, H, D] between transposes, tables from qopt.rotary_table where they are proven to be cos and sin of position
    times frequency. Numerics: the angle is one f32 product, cosine and sine are exact to rounding. Method:
    classifyRotation and classifyRotary (Probe.h) run the subgraphs.
    Example: test/passes/Raise/raise-rotary.mlir.
  }];
  let dependentDialects = ["::qopt::ir::QOptDialect", "::qopt::onnx::OnnxDialect"];
}

def RaiseAttentionPass : Pass<"qopt-raise-attention", "::mlir::func::FuncOp"> {
  let summary = "scaled dot-product attention as one op";
  let description = [{
    Before: Attention, or two products around a softmax. After: qopt.attention with q [B, S, H, D] and k, v [B, KV, T, D];
    scales on either side are one factor, repeated heads are taken back, the NaN guard is the op's own. Numerics:
    reassociates; a fully masked row gives 0. Method: from the second product back to the first; what lies between is
    scale, softcap or mask, or the match fails with a reason. Example: test/passes/Raise/raise-attention.mlir.
  }];
  let dependentDialects = ["::qopt::ir::QOptDialect", "::qopt::onnx::OnnxDialect"];
}

def RaiseDecoderPass : Pass<"qopt-raise-decoder", "::mlir::ModuleOp"> {
  let summary = "a causal language model as a step over a ragged batch";
  let description = [{
    Before: a function with token ids, past keys and values and qopt.attention. After: a function `step` from tokens,
    batch and cache to the logits of the selected rows and the cache, in f32; the source function is gone. With `sources`
    inputs past_key_values.N.encoder.key and .value are layers of the cache behind the others. A function that
    is no decoder stays, with a remark that says why. Numerics: exact up to the f16 roundings that the source has between
    ops and the ragged form has not. Method: masks and positions are proven by running them (Probe.h); RaggedRewriter
    translates from the logits backwards. Example: test/passes/Raise/raise-decoder.mlir.
  }];
  let options = [
    Option<"required", "required", "bool", "false", "an error where a function is no decoder">,
    Option<"sources", "sources", "bool", "false", "it may attend to what an encoder makes, by inputs of such names">,
  ];
  let dependentDialects = ["::qopt::ir::QOptDialect", "::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect",
                           "::mlir::math::MathDialect", "::mlir::tensor::TensorDialect"];
}

def RaiseEncoderPass : Pass<"qopt-raise-encoder", "::mlir::ModuleOp"> {
  let summary = "an encoder and a decoder's cross projections as what fills a cache";
  let description = [{
    Before: a function `encoder` with one result and a function `decoder` that has it as the argument
    `encoder_hidden_states` and gives results `present.N.encoder.key` and `.value`, [B, KV, S, D], which are projections of
    it with heads ahead of positions. After: a function `encode` from the encoder's arguments, a batch and a cache to the
    cache with those keys and values in layers behind the decoder's own, of one source, which it requires; the two are gone.
    Numerics: exact. Method: the encoder is kept, the projections are taken over without what the decoder itself computes.
    Example: test/passes/Raise/raise-encoder.mlir.
  }];
  let dependentDialects = ["::qopt::ir::QOptDialect", "::mlir::arith::ArithDialect", "::mlir::tensor::TensorDialect"];
}

def FoldConstantsPass : Pass<"qopt-fold-constants", "::mlir::func::FuncOp"> {
  let summary = "evaluate onnx operators on constants";
  let description = [{
    Before: any onnx function. After: no operator whose operands are all dense constants, as far as its result has at most
    `max-bytes` bytes and the evaluator knows it; sizes that types know are constants. Weights (dense_resource) are never
    read. Numerics: exact up to one rounding (floats are computed in double and rounded once). Method: the reference
    evaluator of dialects/Onnx/Evaluate. Example: test/passes/Raise/fold-constants.mlir.
  }];
  let options = [Option<"maxBytes", "max-bytes", "int64_t", "64 * 1024", "largest result that becomes an attribute">];
  let dependentDialects = ["::qopt::onnx::OnnxDialect"];
}

def SimplifyOnnxPass : Pass<"qopt-simplify-onnx", "::mlir::func::FuncOp"> {
  let summary = "remove onnx operators that change nothing";
  let description = [{
    Before: any onnx function. After: no identity, inference-time dropout, cast to the same type, transpose of a transpose,
    reshape of a reshape, full slice, expand or choice without effect, neutral addition or multiplication, double
    negation, guard of a shape against -1, or branch on a constant; what becomes constant is folded; types have the sizes
    that are known. Numerics: exact, but that -0 + 0 keeps its sign. Method: symbolic sizes (SymbolicShapes) for what is
    known or moves nothing, then greedy patterns by family (SimplifyMoves, SimplifyArithmetic, SimplifyShapes).
    Example: test/passes/Raise/simplify-onnx.mlir.
  }];
  let dependentDialects = ["::qopt::onnx::OnnxDialect"];
}

def ReportLayersPass : Pass<"qopt-report-layers", "::mlir::func::FuncOp"> {
  let summary = "remarks that say what raising recognised";
  let description = [{
    Before: a raised function. After: the same. One remark a layer names its attention (heads, mask, window, positions),
    norm and activation functions; one more counts the onnx operators that are left to generated kernels. Numerics:
    exact. Method: what each attention's operands come from. Example: test/passes/Raise/report-layers.mlir.
  }];
}

#endif // QOPT_PASSES_RAISE_PASSES
