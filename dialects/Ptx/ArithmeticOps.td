// Instructions on registers alone: none touches memory, so each may be moved, merged and dropped.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_ARITHMETICOPS_TD
#define PTX_ARITHMETICOPS_TD

include "dialects/Ptx/PtxDialect.td"
include "mlir/Interfaces/InferTypeOpInterface.td"

def Ptx_Lop3Op : Ptx_Op<"lop3", 50, 43, [Pure]> {
  let summary = "any bitwise function of three words";
  let description = [{
    ```
    result[i] = table[4·a[i] + 2·b[i] + c[i]]        i = bit 0 … 31
    ```

    Generators make it where they unpack codes: neither LLVM nor ptxas joins an `and` and an `or` that have two different
    constants. The table of f is f(0xF0, 0xCC, 0xAA), so (a & b) | c has the table 0xEA.

    `a`, `b` and `c` are words; `table` has the function's eight values, the one of a = b = c = 1 in bit 7.

    Constraints:

    - (C1) The table is within 0 … 255.

    Example:

    ```mlir
    %codes = ptx.lop3 %word, %mask, %magic table 234
    ```
  }];
  let arguments = (ins I32:$a, I32:$b, I32:$c, I32Attr:$table);
  let results = (outs I32:$result);
  let assemblyFormat = "$a `,` $b `,` $c `table` $table attr-dict";
  let hasVerifier = 1;
}

/// A function that the special function unit approximates, on one f32.
class Ptx_ApproximateOp<string mnemonic> : Ptx_Op<mnemonic, 50, 43, [Pure, SameOperandsAndResultType]> {
  let arguments = (ins F32:$x);
  let results = (outs F32:$result);
  let assemblyFormat = "$x attr-dict `:` type($result)";
}

/// The same on f32 or on two halves, of which bf16 needs a newer architecture.
class Ptx_PackedApproximateOp<string mnemonic> : Ptx_Op<mnemonic, 0, 0, [Pure, SameOperandsAndResultType]> {
  let arguments = (ins AnyTypeOf<[F32, Ptx_Half2, Ptx_BFloat2]>:$x);
  let results = (outs AnyTypeOf<[F32, Ptx_Half2, Ptx_BFloat2]>:$result);
  let assemblyFormat = "$x attr-dict `:` type($result)";
  let extraClassDeclaration = [{
    int getRequiredCapability();
    int getRequiredPtxVersion();
  }];
}

def Ptx_Ex2Op : Ptx_PackedApproximateOp<"ex2"> {
  let summary = "two to the power of x, approximated";
  let description = [{
    ```
    result = 2^x
    ```

    Softmax and expansions of exp use it. Relative error at most 2^-22 for f32 (denormals are flushed to zero), 2^-9.9
    for f16 and 2^-7 for bf16.

    `x` is one f32, or two f16 or bf16 in one register.

    Example:

    ```mlir
    %y = ptx.ex2 %x : vector<2xf16>
    ```
  }];
}

def Ptx_TanhOp : Ptx_PackedApproximateOp<"tanh"> {
  let summary = "hyperbolic tangent, approximated";
  let description = [{
    ```
    result = tanh(x)
    ```

    Activations in half precision use it; it is too coarse for f32 results. Relative error at most 2^-11 for f32, absolute
    error at most 2^-10.987 for f16 and 2^-8 for bf16.

    `x` is one f32, or two f16 or bf16 in one register.

    Example:

    ```mlir
    %y = ptx.tanh %x : f32
    ```
  }];
}

def Ptx_Lg2Op : Ptx_ApproximateOp<"lg2"> {
  let summary = "logarithm to base two, approximated";
  let description = [{
    ```
    result = log₂(x)
    ```

    Expansions of log use it. Absolute error at most 2^-22 for x in (0.5, 2), else relative error at most 2^-22;
    denormals count as zero.

    `x` is not negative.

    Example:

    ```mlir
    %y = ptx.lg2 %x : f32
    ```
  }];
}

def Ptx_RcpOp : Ptx_ApproximateOp<"rcp"> {
  let summary = "reciprocal, approximated";
  let description = [{
    ```
    result = 1 / x
    ```

    At most one unit in the last place from the exact value; denormals count as zero. A division is 8 instructions, this
    one.

    `x` is any number.

    Example:

    ```mlir
    %y = ptx.rcp %x : f32
    ```
  }];
}

def Ptx_RsqrtOp : Ptx_ApproximateOp<"rsqrt"> {
  let summary = "reciprocal square root, approximated";
  let description = [{
    ```
    result = 1 / √x
    ```

    Norms use it. Relative error at most 2^-22.9; denormals count as zero.

    `x` is not negative.

    Example:

    ```mlir
    %y = ptx.rsqrt %x : f32
    ```
  }];
}

def Ptx_CvtRniS32Op : Ptx_Op<"cvt_rni_s32", 50, 43, [Pure]> {
  let summary = "nearest integer, ties to even, saturated";
  let description = [{
    ```
    result = min(max(round(x), −2³¹), 2³¹ − 1),   0 where x is not a number
    ```

    Quantizing activations uses it: rounding and conversion are one instruction here, two in LLVM, where a value that does
    not fit is undefined.

    `x` is any number.

    Example:

    ```mlir
    %code = ptx.cvt_rni_s32 %x
    ```
  }];
  let arguments = (ins F32:$x);
  let results = (outs I32:$result);
  let assemblyFormat = "$x attr-dict";
}

def Ptx_CvtPackS8Op : Ptx_Op<"cvt_pack_s8", 72, 65, [Pure]> {
  let summary = "two integers as saturated bytes before two others";
  let description = [{
    ```
    result = (low << 16) | (s8(a) << 8) | s8(b)      s8(x) = min(max(x, −128), 127) & 255
    ```

    Quantizing activations uses it: two of them make a word of four codes. What one would get wrong: the bytes of `a` and
    `b` are the low half of the result, and what was packed before moves up.

    `a` and `b` are signed; `low` has in its lower half the two bytes that were packed before.

    Example:

    ```mlir
    %word = ptx.cvt_pack_s8 %a, %b, %low
    ```
  }];
  let arguments = (ins I32:$a, I32:$b, I32:$low);
  let results = (outs I32:$result);
  let assemblyFormat = "$a `,` $b `,` $low attr-dict";
}

def Ptx_MmaE4m3Op : Ptx_Op<"mma_e4m3", 89, 84, [Pure, AttrSizedOperandSegments]> {
  let summary = "products of fp8 matrices, 16 × 32 and 32 × 8, by a warp";
  let description = [{
    ```
    d[16 × 8] = a[16 × 32] · b[32 × 8] + c[16 × 8]      a, b: e4m3; c, d: f32
    ```

    `mma.sync.aligned.m16n8k32` with the fragments that the PTX manual draws. Native from sm_89 to before sm_90; sm_90a
    makes conversions and f16 products of it, so that only wgmma is fast there. Every lane of the warp executes it.

    `a` is 4 words of 4 codes, `b` 2 words, `c` 4 numbers.

    Constraints:

    - (C1) There are 4 words of a, 2 of b and 4 numbers of c.

    Example:

    ```mlir
    %d:4 = ptx.mma_e4m3 a(%a0, %a1, %a2, %a3) b(%b0, %b1) c(%c0, %c1, %c2, %c3)
    ```
  }];
  let arguments = (ins Variadic<I32>:$a, Variadic<I32>:$b, Variadic<F32>:$c);
  let results = (outs F32:$d0, F32:$d1, F32:$d2, F32:$d3);
  let assemblyFormat = "`a` `(` $a `)` `b` `(` $b `)` `c` `(` $c `)` attr-dict";
  let hasVerifier = 1;
}

#endif // PTX_ARITHMETICOPS_TD
