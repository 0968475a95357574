// Positions and attention on plain tensors: what a graph with its ONNX signature uses.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_ATTENTIONOPS_TD
#define QOPT_ATTENTIONOPS_TD

include "dialects/QOpt/QOptTypes.td"
include "dialects/QOpt/QOptInterfaces.td"

def QOpt_RotaryTableOp : QOpt_Op<"rotary_table", [Pure, QOpt_Reify,
    DeclareOpInterfaceMethods<QOpt_TokenWiseOpInterface>]> {
  let summary = "cosines and sines of rotary embedding";
  let description = [{
    ```
    cos[t…, i] = scale · cos(positions[t…] · inv_freq[i]),   sin[t…, i] = scale · sin(positions[t…] · inv_freq[i])
    ```

    Raising makes it of the position arithmetic of an exported model. What one would get wrong: `scale` multiplies the
    table, not the angle (YaRN's attention factor); angles are products in f32, and their cosine is taken of that f32.

    `positions` are [t…], counted from 0; `inv_freq` is [R/2], in radians for each position. Both results are [t…, R/2].

    Constraints:

    - (C1) Both results are [t…, R/2].

    Example:

    ```mlir
    %cos, %sin = qopt.rotary_table %positions, %freq scale 1.0 : tensor<?xi32>, tensor<4xf32> -> tensor<?x4xf32>
    ```
  }];
  let arguments = (ins QOpt_IntTensor:$positions, QOpt_Vector:$inv_freq, DefaultValuedAttr<F32Attr, "1.0f">:$scale);
  let results = (outs QOpt_Tensor:$cos, QOpt_Tensor:$sin);
  let builders = [OpBuilder<(ins "::mlir::Value":$positions, "::mlir::Value":$invFreq, CArg<"float", "1.0f">:$scale)>];
  let assemblyFormat = [{
    $positions `,` $inv_freq `scale` custom<Real>($scale) attr-dict `:` type($positions) `,` type($inv_freq)
    `->` custom<SameTypes>(type($cos), type($sin))
  }];
  let hasVerifier = 1;
}

def QOpt_RotaryOp : QOpt_Op<"rotary", [Pure, QOpt_Reify, DeclareOpInterfaceMethods<QOpt_TokenWiseOpInterface>,
    AllTypesMatch<["x", "result"]>]> {
  let summary = "heads rotated by their position";
  let description = [{
    ```
    half split:   (a, b) = (x[…, i], x[…, R/2 + i]),        interleaved:  (a, b) = (x[…, 2i], x[…, 2i + 1])
    (a, b) ← (a · cos[i] − b · sin[i],  b · cos[i] + a · sin[i])             for i < R/2; channels from R on are kept
    ```

    Raising makes it of the forms that exporters write. What one would get wrong: the pairing. Most models split the head
    in halves; `interleaved` pairs neighbours. R may be less than the head size D (partial rotary).

    `x` is [t…, heads, D]; `cos` and `sin` are [t…, R/2] and are the same for all heads. Their first dimensions may be 1 or
    absent where the rows are the same for all: row r of x reads row r mod (rows of cos).

    Constraints:

    - (C1) x has at least a dimension for heads and one for channels; the last is static.
    - (C2) cos and sin have the same type, and a last dimension R/2 that is static, with R ≤ D.
    - (C3) The other dimensions of cos are the last ones of x's t…, except that leading ones may be 1.

    Example:

    ```mlir
    %y = qopt.rotary %x, %cos, %sin : tensor<?x8x8xf32>, tensor<?x4xf32>
    ```
  }];
  let arguments = (ins QOpt_Tensor:$x, QOpt_Tensor:$cos, QOpt_Tensor:$sin, UnitAttr:$interleaved);
  let results = (outs QOpt_Tensor:$result);
  let assemblyFormat = [{
    $x `,` $cos `,` $sin (`interleaved` $interleaved^)? attr-dict
    `:` type($x) `,` custom<SameTypes>(type($cos), type($sin))
  }];
  let hasVerifier = 1;
}

def QOpt_AttentionOp : QOpt_Op<"attention", [Pure, QOpt_Reify]> {
  let summary = "softmax-weighted mean of values";
  let description = [{
    ```
    s[b,h,i,j] = scale · Σ_d q[b,i,h,d] · k[b,g,j,d],  g = ⌊h · KV / H⌋;    s ← softcap · tanh(s / softcap)
    s ← s + mask[b,h,i,j] (float), or −∞ where mask is false (i1), causal hides it or the window does
    result[b,i,h,:] = Σ_j softmax over j (s[b,h,i,:])[j] · v[b,g,j,:]
    ```

    The dense form, in the shape of an exported graph. `causal` hides j > i + T − S: the last query sees every key, however
    many came before. `window` w hides j ≤ i + T − S − w, so that a query sees itself and w − 1 before it. What one would
    get wrong: softcap comes before the mask; a row whose every entry is hidden gives 0, not NaN.

    `q` is [B, S, H, D]; `k` is [B, KV, T, D] and `v` is [B, KV, T, Dv], the order in which past and present lie; `mask` is
    broadcast to [B, H, S, T]: i1 (true: attend) or floating point (added). `scale` is usually 1/√D, `softcap` bounds the
    scores. The result is [B, S, H, Dv].

    Constraints:

    - (C1) q, k, v and the result have four dimensions, and agree in B, S, H, KV, T, D and Dv.
    - (C2) KV divides H.
    - (C3) The mask has at most four dimensions, each 1 or that of [B, H, S, T].
    - (C4) `window` is positive and only with `causal`; `softcap` is positive.

    Example:

    ```mlir
    %y = qopt.attention %q, %k, %v mask(%m : tensor<?x1x?x?xi1>) scale 0.125 causal window 64 : tensor<?x?x8x64xf32>, tensor<?x4x?x64xf32>, tensor<?x4x?x64xf32> -> tensor<?x?x8x64xf32>
    ```
  }];
  let arguments = (ins QOpt_Tensor:$q, QOpt_Tensor:$k, QOpt_Tensor:$v,
                       Optional<RankedTensorOf<[I1, QOpt_FloatType]>>:$mask, F32Attr:$scale, UnitAttr:$causal,
                       OptionalAttr<I64Attr>:$window, OptionalAttr<F32Attr>:$softcap);
  let results = (outs QOpt_Tensor:$result);
  let assemblyFormat = [{
    $q `,` $k `,` $v (`mask` `(` $mask^ `:` type($mask) `)`)? `scale` custom<Real>($scale) (`causal` $causal^)?
    (`window` $window^)? (`softcap` custom<Real>($softcap)^)? attr-dict
    `:` type($q) `,` type($k) `,` type($v) `->` type($result)
  }];
  let hasVerifier = 1;
}

def QOpt_AttentionGradientOp : QOpt_Op<"attention_gradient", [Pure, QOpt_Reify, AllTypesMatch<["q", "q_gradient"]>,
    AllTypesMatch<["k", "k_gradient"]>, AllTypesMatch<["v", "v_gradient"]>, AllTypesMatch<["y", "gradient"]>]> {
  let summary = "what attention passes back to q, k and v";
  let description = [{
    ```
    s as in qopt.attention;   p[b,h,i,j] = softmax over j (s[b,h,i,:])[j];   t = tanh(scale · q · k / softcap), else 0
    dS[b,h,i,j] = p[b,h,i,j] · (gradient[b,i,h,:] · v[b,g,j,:] − gradient[b,i,h,:] · y[b,i,h,:]),  g = ⌊h · KV / H⌋
    dU[b,h,i,j] = scale · (1 − t²) · dS[b,h,i,j]
    q_gradient[b,i,h,:] = Σ_j dU[b,h,i,j] · k[b,g,j,:]
    k_gradient[b,g,j,:] = Σ_h Σ_i dU[b,h,i,j] · q[b,i,h,:],   v_gradient[b,g,j,:] = Σ_h Σ_i p[b,h,i,j] · gradient[b,i,h,:]
    ```

    The derivative of Σ gradient · y with respect to q, k and v, where y is what `qopt.attention` gives for them.
    DifferentiateFunction makes it; it stays until lowering. Scores are computed again, so that nothing of the size S × T is
    kept. What one would get wrong: the sums over h are over the heads that share a key head; the mask is added behind the
    softcap, so it is no part of t; a query that sees no key has the gradient 0. With `distance` the sums over i of k_gradient and
    v_gradient are over the queries at least so many positions behind j alone: a cache whose latest positions are exact is
    wrong for these.

    `q`, `k`, `v`, `mask`, `scale`, `causal`, `window` and `softcap` are those of the attention; `y` is its result and
    `gradient` the gradient of that, both [B, S, H, Dv].

    Constraints:

    - (C1) q, k, v and y have four dimensions, and agree in B, S, H, KV, T, D and Dv.
    - (C2) KV divides H.
    - (C3) The mask has at most four dimensions, each 1 or that of [B, H, S, T].
    - (C4) `window` is positive and only with `causal`; `softcap` is positive.
    - (C5) `distance` is positive and only with `causal`.

    Example:

    ```mlir
    %dq, %dk, %dv = qopt.attention_gradient %q, %k, %v, %y, %g scale 0.125 causal softcap 50.0 : tensor<1x?x8x64xf32>, tensor<1x4x?x64xf32>, tensor<1x4x?x64xf32>, tensor<1x?x8x64xf32>
    ```
  }];
  let arguments = (ins QOpt_Tensor:$q, QOpt_Tensor:$k, QOpt_Tensor:$v, QOpt_Tensor:$y, QOpt_Tensor:$gradient,
                       Optional<RankedTensorOf<[I1, QOpt_FloatType]>>:$mask, F32Attr:$scale, UnitAttr:$causal,
                       OptionalAttr<I64Attr>:$window, OptionalAttr<F32Attr>:$softcap, OptionalAttr<I64Attr>:$distance);
  let results = (outs QOpt_Tensor:$q_gradient, QOpt_Tensor:$k_gradient, QOpt_Tensor:$v_gradient);
  let builders = [OpBuilder<(ins "::qopt::ir::AttentionOp":$attention, "::mlir::Value":$gradient)>];
  let assemblyFormat = [{
    $q `,` $k `,` $v `,` $y `,` $gradient (`mask` `(` $mask^ `:` type($mask) `)`)? `scale` custom<Real>($scale)
    (`causal` $causal^)? (`window` $window^)? (`softcap` custom<Real>($softcap)^)? (`distance` $distance^)? attr-dict
    `:` type($q) `,` type($k) `,` type($v) `,` type($y)
  }];
  let hasVerifier = 1;
}

#endif // QOPT_ATTENTIONOPS_TD
