// Weights: from the bytes of a model file to the layout that a kernel reads. These operations are expressions: they stay
// in the IR and are evaluated one weight at a time, in blocks of rows, when the artifact is written.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_WEIGHTOPS_TD
#define QOPT_WEIGHTOPS_TD

include "dialects/QOpt/QOptTypes.td"
include "dialects/QOpt/QOptInterfaces.td"

def QOpt_WeightOp : QOpt_Op<"weight", [Pure]> {
  let summary = "weight as a model file stores it";
  let description = [{
    The result is the matrix W [N, K] of the result type. Made when a model is raised; its bytes stay in the mapped file
    until the artifact is written. What one would get wrong: the attributes describe the file, not the result, whose
    storage is always canonical (`lib/Quant/Storage.h`); only an evaluator may look at the bytes.

    `name` is the user's name of the weight, for messages, reports and overrides. `codes`, `scales` and `zeros` are the
    arrays of the file; the type of each is what the file says of it. `transposed`: the file stores [K, N]. `encoding`
    says how the arrays are to be read:

    - `canonical`: floating point values [N, K], or codes as bytes [N, bytes of a row], scales [N, groups] and zeros the
      same ([1, 1] for one scale per tensor); with two levels of scales both as bytes [N, bytes of a row]. A code
      book is bytes [1, numbers] in the place of zeros.
    - `matmul_nbits`: operands B, scales and zero_points of com.microsoft::MatMulNBits. Codes are unsigned, and relative to
      half their range when the format is symmetric; blocks of a row are padded to the block size.
    - `dequantize_linear`: operands x, x_scale and x_zero_point of ONNX DequantizeLinear: dense [N, K] or, transposed,
      [K, N], with scales [N, groups] or [groups, N] (per channel: [N]); 4-bit elements are packed over the whole array.

    `row_factors` [N] and `column_factors` [K] are f32 numbers that rows and columns of the file's matrix are multiplied with,
    which FoldChannelScales brings in; 1 where there are none. Such a result is f32, whichever floating point type the file
    has.

    Constraints:

    - (C1) The result has the canonical layout.
    - (C2) A format with scales has `scales`; one without has none.
    - (C3) A format with zero points or a code book has `zeros`; one without has none.
    - (C4) `codes` has the shape and element type that the result type and the encoding imply.
    - (C5) `scales` has the number of elements and a floating point type as the result type and the encoding
      imply; with two levels of scales `scales` and `zeros`, and a code book, have the bytes of canonical storage.
    - (C6) A canonical weight with scales is not `transposed`, nor is one of encoding `matmul_nbits`.
    - (C7) The elements of encoding `matmul_nbits` are integers, those of `dequantize_linear` integers, fp8 or fp4; their
      scales are no integers.
    - (C8) All rows have one format.
    - (C9) Factors are f32, one a row or column; the codes are then floating point numbers and the result is f32.

    Example:

    ```mlir
    %w = qopt.weight "layers.0.q_proj" codes(dense<0.5> : tensor<4x8xf16>) transposed : !qopt.weight<8x4, f16>
    ```
  }];
  let arguments = (ins StrAttr:$name, ElementsAttr:$codes, OptionalAttr<ElementsAttr>:$scales,
                       OptionalAttr<ElementsAttr>:$zeros, UnitAttr:$transposed,
                       DefaultValuedAttr<QOpt_EncodingAttr, "::qopt::ir::Encoding::Canonical">:$encoding,
                       OptionalAttr<ElementsAttr>:$row_factors, OptionalAttr<ElementsAttr>:$column_factors);
  let results = (outs QOpt_WeightType:$result);
  let assemblyFormat = [{
    $name `codes` `(` $codes `)` (`scales` `(` $scales^ `)`)? (`zeros` `(` $zeros^ `)`)?
    (`transposed` $transposed^)? (`encoding` `` $encoding^)? (`row_factors` `(` $row_factors^ `)`)? (`column_factors` `(` $column_factors^ `)`)?
    attr-dict `:` qualified(type($result))
  }];
  let extraClassDeclaration = [{
    bool hasFactors() { return getRowFactors() || getColumnFactors(); }
  }];
  let hasVerifier = 1;
}

def QOpt_QuantizeWeightOp : QOpt_Op<"quantize_weight", [Pure]> {
  let summary = "weight in a quantized format";
  let description = [{
    ```
    result = algorithm(source, format of the result)
    ```

    The stage "quantize" makes it. The formulas of `rtn` are in `lib/Quant/Algorithm.h`, those of the other algorithms,
    which here know nothing of what the linear reads, in `lib/Quant/algorithms`; the result does not depend on how the
    evaluator cuts the matrix into blocks.

    `source` is the matrix with floating point elements, [N, K]. `algorithm` chooses the codes.

    Constraints:

    - (C1) Source and result have the same N and K, and the canonical layout.
    - (C2) The source has a format without scales.
    - (C3) The group size of the result's format divides K.
    - (C4) All rows of the result have one format.

    Folds to its source when the formats are equal.

    Example:

    ```mlir
    %q = qopt.quantize_weight %w rtn : !qopt.weight<8x64, f16> -> !qopt.weight<8x64, int4_g32>
    ```
  }];
  let arguments = (ins QOpt_WeightType:$source, QOpt_AlgorithmAttr:$algorithm);
  let results = (outs QOpt_WeightType:$result);
  let assemblyFormat = "$source `` $algorithm attr-dict `:` qualified(type($source)) `->` qualified(type($result))";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def QOpt_ConcatWeightsOp : QOpt_Op<"concat_weights", [Pure]> {
  let summary = "weights one below the other";
  let description = [{
    ```
    result[r, :] = sources[i][r − (rows of the sources before i), :]
    ```

    Rows are output channels, so one linear over the result computes what a linear over each source would, side by side.
    The stage "fuse" makes it to merge projections that read the same activations.

    `sources` are at least one matrix, [Nᵢ, K].

    Constraints:

    - (C1) At least one source.
    - (C2) All sources have the result's K, and the layouts are canonical.
    - (C3) No neighbours of one format have a scale that is shared by all rows.
    - (C4) N of the result is the sum of the sources' N.
    - (C5) The formats of the result are those of the sources, neighbours of one format as one range.

    Folds to its source when there is only one; a concatenation of concatenations becomes one.

    Example:

    ```mlir
    %qk = qopt.concat_weights %q, %k : !qopt.weight<8x64, int4_g32>, !qopt.weight<4x64, int4_g32> -> !qopt.weight<12x64, int4_g32>
    ```
  }];
  let arguments = (ins Variadic<QOpt_WeightType>:$sources);
  let results = (outs QOpt_WeightType:$result);
  let builders = [OpBuilder<(ins "::mlir::ValueRange":$sources)>];
  let assemblyFormat = "$sources attr-dict `:` qualified(type($sources)) `->` qualified(type($result))";
  let hasVerifier = 1;
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def QOpt_TransposeWeightOp : QOpt_Op<"transpose_weight", [Pure]> {
  let summary = "weight with rows and columns exchanged";
  let description = [{
    ```
    result[k, n] = source[n, k], dequantized
    ```

    A linear over the result takes the gradient of a linear's result to that of its input. DifferentiateFunction makes it.
    What one would get wrong: groups lie along rows, so codes cannot be exchanged as they are; the result has real values.

    `source` is a matrix [N, K] of any format.

    Constraints:

    - (C1) The result is K × N, and both have the canonical layout.
    - (C2) The result is f32, or of the source's format where that has no scales.

    Example:

    ```mlir
    %t = qopt.transpose_weight %w : !qopt.weight<8x64, int4_g32> -> !qopt.weight<64x8, f32>
    ```
  }];
  let arguments = (ins QOpt_WeightType:$source);
  let results = (outs QOpt_WeightType:$result);
  let builders = [OpBuilder<(ins "::mlir::Value":$source)>];
  let assemblyFormat = "$source attr-dict `:` qualified(type($source)) `->` qualified(type($result))";
  let hasVerifier = 1;
}

def QOpt_PackWeightOp : QOpt_Op<"pack_weight", [Pure]> {
  let summary = "weight in the layout a kernel reads";
  let description = [{
    The result is the same matrix in another layout. The stage "schedule" makes it where it chooses a kernel; nothing after
    it changes the weight. Layouts are drawn beside the kernels that read them.

    `source` is a matrix [N, K] in the canonical layout.

    Constraints:

    - (C1) Source and result have the same N, K and format.
    - (C2) The source has the canonical layout.

    Folds to its source when the layouts are equal.

    Example:

    ```mlir
    %p = qopt.pack_weight %w : !qopt.weight<8x64, int4_g32> -> !qopt.weight<8x64, int4_g32, layout = host_tiled>
    ```
  }];
  let arguments = (ins QOpt_WeightType:$source);
  let results = (outs QOpt_WeightType:$result);
  let assemblyFormat = "$source attr-dict `:` qualified(type($source)) `->` qualified(type($result))";
  let hasVerifier = 1;
  let hasFolder = 1;
}

#endif // QOPT_WEIGHTOPS_TD
