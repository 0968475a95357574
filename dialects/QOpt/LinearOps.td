// Products with weights and what is done to every element: linear, embedding, activations.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LINEAROPS_TD
#define QOPT_LINEAROPS_TD

include "dialects/QOpt/QOptTypes.td"
include "dialects/QOpt/QOptInterfaces.td"

def QOpt_LinearOp : QOpt_Op<"linear", [Pure, AttrSizedOperandSegments, QOpt_Reify,
    DeclareOpInterfaceMethods<QOpt_TokenWiseOpInterface>, DeclareOpInterfaceMethods<QOpt_WeightUserOpInterface>]> {
  let summary = "product with a weight, plus bias and residual";
  let description = [{
    ```
    result[t…, n] = Σₖ x[t…, k] · W[n, k] + bias[n] + residual[t…, n]
    ```

    Raising makes it of MatMul, Gemm and their quantized relatives; it stays until lowering. What one would get wrong: W is
    N × K (output channels are rows) whatever the file stored, and bias comes before the residual.

    `x` is [t…, K], a tensor or quantized activations; `weight` is [N, K]; `bias` is [N]; `residual` has the shape of the
    result, [t…, N]. Sums are accumulated in f32; in i32 within a group, or a row with one scale, where both sides
    are integers; of fp8 on both sides in f32 within 128 columns, then over these. Scales come behind the sum, that of x
    before the weight's; where x has zero points, which are taken off codes on both sides before they are multiplied, the
    product of both at once.

    `share` [t…, 1] says which rows are wanted: those where it is 0 are not computed, and are 0. qopt-skip-unrouted-rows
    gives it to an expert's linears, whose result is multiplied by it; `taken` is the part of all tokens that are expected
    to want their row.

    Constraints:

    - (C1) The last dimension of x is K.
    - (C2) The result is [t…, N], with the leading dimensions of x.
    - (C3) The bias has N elements.
    - (C4) The residual has the type of the result.
    - (C5) The share is [t…, 1], with the leading dimensions of x, of f32, and there is no residual.

    Example:

    ```mlir
    %y = qopt.linear %x, %w bias(%b : tensor<128xf32>) residual(%r : tensor<?x128xf32>) : tensor<?x64xf32>, !qopt.weight<128x64, int4_g32> -> tensor<?x128xf32>
    ```
  }];
  let arguments = (ins QOpt_TensorOrQuantized:$x, QOpt_WeightType:$weight, Optional<QOpt_Vector>:$bias,
                       Optional<QOpt_Tensor>:$residual, Optional<QOpt_Tensor>:$share, OptionalAttr<F64Attr>:$taken);
  let results = (outs QOpt_Tensor:$result);
  let builders = [
    OpBuilder<(ins "::mlir::Value":$x, "::mlir::Value":$weight, CArg<"::mlir::Value", "{}">:$bias,
                   CArg<"::mlir::Value", "{}">:$residual)>,
    OpBuilder<(ins "::mlir::Type":$result, "::mlir::Value":$x, "::mlir::Value":$weight, "::mlir::Value":$bias,
                   "::mlir::Value":$residual)>,
  ];
  let assemblyFormat = [{
    $x `,` $weight (`bias` `(` $bias^ `:` type($bias) `)`)? (`residual` `(` $residual^ `:` type($residual) `)`)?
    (`share` `(` $share^ `:` type($share) `)`)?
    attr-dict `:` qualified(type($x)) `,` qualified(type($weight)) `->` qualified(type($result))
  }];
  let hasVerifier = 1;
}

def QOpt_EmbeddingOp : QOpt_Op<"embedding", [Pure, QOpt_Reify, DeclareOpInterfaceMethods<QOpt_TokenWiseOpInterface>,
    DeclareOpInterfaceMethods<QOpt_WeightUserOpInterface, ["looksUpRows"]>]> {
  let summary = "rows of a weight, by token";
  let description = [{
    ```
    result[t…, :] = W[ids[t…], :]
    ```

    Raising makes it of Gather on a weight. Ids outside the vocabulary are an error of the caller, which the runtime
    checks before a step.

    `ids` are token ids [t…]; `weight` is [vocabulary, hidden], dequantized row by row.

    Constraints:

    - (C1) The result is [t…, hidden], with the dimensions of ids.
    - (C2) All rows of the weight have one format.

    Example:

    ```mlir
    %h = qopt.embedding %ids, %w : tensor<?xi32>, !qopt.weight<512x64, int8> -> tensor<?x64xf32>
    ```
  }];
  let arguments = (ins QOpt_IntTensor:$ids, QOpt_WeightType:$weight);
  let results = (outs QOpt_Tensor:$result);
  let assemblyFormat = "$ids `,` $weight attr-dict `:` type($ids) `,` qualified(type($weight)) `->` qualified(type($result))";
  let hasVerifier = 1;
}

def QOpt_ActivationOp : QOpt_Op<"activation", [Pure, QOpt_Reify, DeclareOpInterfaceMethods<QOpt_TokenWiseOpInterface>,
    DeclareOpInterfaceMethods<QOpt_QuantizingOpInterface>]> {
  let summary = "function of every element";
  let description = [{
    ```
    result[i…] = function(x[i…])
    ```

    The functions are defined beside their names in QOptAttrs.td. Raising makes it of the decomposed forms that exporters
    write; fusion lets it write quantized activations.

    `function` is one of them; `x` is a tensor of any shape. The result is a tensor of the same type, or quantized.

    Constraints:

    - (C1) The result has the shape of x, and its element type where it is a tensor.

    Folds: relu of relu is one relu.

    Example:

    ```mlir
    %y = qopt.activation gelu_tanh %x : tensor<?x128xf32> -> tensor<?x128xf32>
    ```
  }];
  let arguments = (ins QOpt_FunctionAttr:$function, QOpt_Tensor:$x);
  let results = (outs QOpt_TensorOrQuantized:$result);
  let builders = [OpBuilder<(ins "::qopt::ir::Function":$function, "::mlir::Value":$x)>];
  let assemblyFormat = "`` $function $x attr-dict `:` qualified(type($x)) `->` qualified(type($result))";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def QOpt_GatedActivationOp : QOpt_Op<"gated_activation", [Pure, QOpt_Reify,
    DeclareOpInterfaceMethods<QOpt_TokenWiseOpInterface>, DeclareOpInterfaceMethods<QOpt_QuantizingOpInterface>]> {
  let summary = "function of the gate, times the other half";
  let description = [{
    ```
    result[t…, f] = function(gate[t…, f]) · up[t…, f]                      with `up`
    result[t…, f] = function(gate[t…, f]) · gate[t…, F + f],  f < F       without: both halves in one tensor
    ```

    Raising makes the first form of an activation and a product; merging the gate and up projections makes the second.
    What one would get wrong: the gate, to which the function is applied, is the first half.

    `function` is applied to the gate; `gate` is [t…, F], or [t…, 2F] without `up`; `up` is [t…, F].

    Constraints:

    - (C1) With up: gate and up have the same type. Without: the last dimension of gate is even and static.
    - (C2) The result is [t…, F], with gate's element type where it is a tensor.

    Example:

    ```mlir
    %y = qopt.gated_activation silu %gate, %up : tensor<?x128xf32> -> tensor<?x128xf32>
    ```
  }];
  let arguments = (ins QOpt_FunctionAttr:$function, QOpt_Tensor:$gate, Optional<QOpt_Tensor>:$up);
  let results = (outs QOpt_TensorOrQuantized:$result);
  let builders = [
    OpBuilder<(ins "::qopt::ir::Function":$function, "::mlir::Value":$gate, CArg<"::mlir::Value", "{}">:$up)>,
  ];
  let assemblyFormat = [{
    `` $function $gate (`,` $up^)? attr-dict `:` type($gate) `` custom<UpType>(ref($up), type($up), ref(type($gate)))
    `->` qualified(type($result))
  }];
  let hasVerifier = 1;
}

#endif // QOPT_LINEAROPS_TD
