// Between real values and codes, for activations.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_QUANTOPS_TD
#define QOPT_QUANTOPS_TD

include "dialects/QOpt/QOptTypes.td"
include "dialects/QOpt/QOptInterfaces.td"

def QOpt_QuantizeOp : QOpt_Op<"quantize", [Pure, QOpt_Reify, DeclareOpInterfaceMethods<QOpt_TokenWiseOpInterface>]> {
  let summary = "activations as codes with their scales";
  let description = [{
    ```
    scale[t…, g] = max over the group of |x| / 127            (int8; fp8: 448; the largest code in general)
    code[t…, k]  = clamp(rint(x[t…, k] · (1 / scale[t…, g])), −127, 127)
    ```

    Scales are chosen from the values themselves at run time, one for each row and group, in f32, to which 1 / scale is
    rounded, too; rint rounds to the nearest code, ties to even; a group of zeros has scale 0 and codes 0. Where the type has
    a scale, that of all rows, it is taken instead and larger values become the largest code. A group with a NaN or an
    infinity has codes 0 and a scale that is no finite number, so that what is computed of it is NaN. The stage "quantize"
    makes it before linears whose weights are multiplied by codes; the stage "fuse" moves it into the operation that
    computes x.

    `x` is [t…, K].

    Constraints:

    - (C1) The result has the shape of x.
    - (C2) The group size of the result's format divides K.
    - (C3) The result has no zero points: they are those of codes that a model computes.

    Example:

    ```mlir
    %q = qopt.quantize %x : tensor<?x64xf32> -> !qopt.quantized<?x64, int8_g32_sf32>
    ```
  }];
  let arguments = (ins QOpt_Tensor:$x);
  let results = (outs QOpt_QuantizedType:$result);
  let builders = [OpBuilder<(ins "::mlir::Value":$x, "::qopt::quant::Format":$format)>];
  let assemblyFormat = "$x attr-dict `:` qualified(type($x)) `->` qualified(type($result))";
  let hasVerifier = 1;
}

def QOpt_FromCodesOp : QOpt_Op<"from_codes", [Pure, QOpt_Reify]> {
  let summary = "activations of codes that the model computes";
  let description = [{
    ```
    result[t…, k] stands for scale · (codes[t…, k] − zero)
    ```

    Raising makes it of what a file multiplies as codes: the results of DynamicQuantizeLinear and QuantizeLinear, and the
    operands of MatMulInteger and QLinearMatMul. What one would get wrong: nothing is rounded here, and codes without a
    sign mean the same numbers as signed ones that are less by 128, with a zero point that is, too.

    `codes` are bytes [t…, K], with or without a sign; `scale` is one f32 for all of them and `zero` one byte of their
    kind.

    Constraints:

    - (C1) The result has the shape of codes.
    - (C2) The result's format is `int8_asym`.
    - (C3) Scale and zero point have one element, and the zero point the type of codes.

    Example:

    ```mlir
    %q = qopt.from_codes %codes scale %s zero %z : tensor<?x64xui8>, tensor<f32>, tensor<ui8> -> !qopt.quantized<?x64, int8_asym>
    ```
  }];
  let arguments = (ins QOpt_CodeTensor:$codes, RankedTensorOf<[F32]>:$scale, QOpt_CodeTensor:$zero);
  let results = (outs QOpt_QuantizedType:$result);
  let assemblyFormat = [{
    $codes `scale` $scale `zero` $zero attr-dict `:` type($codes) `,` type($scale) `,` type($zero) `->`
    qualified(type($result))
  }];
  let hasVerifier = 1;
}

def QOpt_DequantizeOp : QOpt_Op<"dequantize", [Pure, QOpt_Reify, DeclareOpInterfaceMethods<QOpt_TokenWiseOpInterface>]> {
  let summary = "real values that codes stand for";
  let description = [{
    ```
    result[t…, k] = scale[t…, g] · (code[t…, k] − zero[t…])          without zero points they are 0
    ```

    Where one consumer of quantized activations needs real values. It is not the inverse of `quantize`: the rounding stays.

    `x` are activations [t…, K].

    Constraints:

    - (C1) The result has the shape of x.

    Example:

    ```mlir
    %y = qopt.dequantize %q : !qopt.quantized<?x64, int8_g32_sf32> -> tensor<?x64xf32>
    ```
  }];
  let arguments = (ins QOpt_QuantizedType:$x);
  let results = (outs QOpt_Tensor:$result);
  let assemblyFormat = "$x attr-dict `:` qualified(type($x)) `->` qualified(type($result))";
  let hasVerifier = 1;
}

#endif // QOPT_QUANTOPS_TD
