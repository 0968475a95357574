// Normalisations over the last dimension.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_NORMOPS_TD
#define QOPT_NORMOPS_TD

include "dialects/QOpt/QOptTypes.td"
include "dialects/QOpt/QOptInterfaces.td"

class QOpt_NormOp<string mnemonic> : QOpt_Op<mnemonic, [Pure, QOpt_Reify,
    DeclareOpInterfaceMethods<QOpt_TokenWiseOpInterface>, DeclareOpInterfaceMethods<QOpt_QuantizingOpInterface>]> {
  let results = (outs QOpt_TensorOrQuantized:$result);
  let hasVerifier = 1;
}

def QOpt_RmsNormOp : QOpt_NormOp<"rms_norm"> {
  let summary = "row divided by its root mean square";
  let description = [{
    ```
    result[t…, k] = x[t…, k] / √(mean over k of x[t…, k]² + epsilon) · scale[k]
    ```

    Raising makes it of the decomposed form; fusion lets it write quantized activations. What one would get wrong: epsilon
    is inside the root, and nothing is subtracted from x. The mean is taken in f32.

    `x` is [t…, K]; `scale` is [K] (a model that multiplies by 1 + w has the sum here) or, where each head has one of its own,
    [H, K] of x [t…, H, K]; `epsilon` is added to a mean of squares.

    Constraints:

    - (C1) The scale has the last one or two dimensions of x, which are static.
    - (C2) The result has the shape of x, and its element type where it is a tensor.
    - (C3) Epsilon is not negative.

    Example:

    ```mlir
    %y = qopt.rms_norm %x, %scale epsilon 1.0e-05 : tensor<?x64xf32>, tensor<64xf32> -> tensor<?x64xf32>
    ```
  }];
  let arguments = (ins QOpt_Tensor:$x, QOpt_VectorOrMatrix:$scale, F32Attr:$epsilon);
  let builders = [OpBuilder<(ins "::mlir::Value":$x, "::mlir::Value":$scale, "float":$epsilon)>];
  let assemblyFormat = [{
    $x `,` $scale `epsilon` custom<Real>($epsilon) attr-dict `:` qualified(type($x)) `,` type($scale) `->` qualified(type($result))
  }];
}

def QOpt_LayerNormOp : QOpt_NormOp<"layer_norm"> {
  let summary = "row with mean zero and variance one";
  let description = [{
    ```
    m[t…] = mean over k of x[t…, k];   v[t…] = mean over k of (x[t…, k] − m[t…])²
    result[t…, k] = (x[t…, k] − m[t…]) / √(v[t…] + epsilon) · scale[k] + bias[k]
    ```

    Raising makes it of LayerNormalization and the decomposed form; fusion lets it write quantized activations. What one
    would get wrong: the variance is divided by K, not by K − 1. Mean and variance are taken in f32.

    `x` is [t…, K]; `scale` and `bias` are [K] or, where each head has its own, [H, K] of x [t…, H, K]; `epsilon` is added to
    the variance.

    Constraints:

    - (C1) Scale and bias have the last one or two dimensions of x, which are static, both the same.
    - (C2) The result has the shape of x, and its element type where it is a tensor.
    - (C3) Epsilon is not negative.

    Example:

    ```mlir
    %y = qopt.layer_norm %x, %scale bias(%b : tensor<64xf32>) epsilon 1.0e-05 : tensor<?x64xf32>, tensor<64xf32> -> tensor<?x64xf32>
    ```
  }];
  let arguments = (ins QOpt_Tensor:$x, QOpt_VectorOrMatrix:$scale, Optional<QOpt_VectorOrMatrix>:$bias,
                       F32Attr:$epsilon);
  let builders = [
    OpBuilder<(ins "::mlir::Value":$x, "::mlir::Value":$scale, "::mlir::Value":$bias, "float":$epsilon)>,
  ];
  let assemblyFormat = [{
    $x `,` $scale (`bias` `(` $bias^ `:` type($bias) `)`)? `epsilon` custom<Real>($epsilon) attr-dict
    `:` qualified(type($x)) `,` type($scale) `->` qualified(type($result))
  }];
}

#endif // QOPT_NORMOPS_TD
