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

def QOpt_DequantizeOp : QOpt_Op<"dequantize", [Pure, QOpt_Reify, DeclareOpInterfaceMethods<QOpt_TokenWiseOpInterface>]> {
  let summary = "real values that codes stand for";
  let description = [{
    ```
    result[t…, k] = scale[t…, g] · code[t…, k]
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
