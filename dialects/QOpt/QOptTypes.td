// Types: weights, quantized activations, the state of a decoder and the ragged batch; and the constraints that
// operations put on their operands.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TYPES_TD
#define QOPT_TYPES_TD

include "dialects/QOpt/QOptAttrs.td"
include "mlir/IR/BuiltinTypeInterfaces.td"

def QOpt_WeightType : QOpt_Type<"Weight", "weight"> {
  let summary = "a constant matrix with everything that is needed to read it";
  let description = [{
    A matrix W of N rows (output channels; vocabulary entries of an embedding) and K columns. One value stands for codes,
    scales and zero points, so that no pass can drop or mismatch one of them. Constraints:

    Rows of several formats, as projections of unequal precision have when they are merged, are told from the first row on:
    `[64: int8, 32: int4_g32]` are 64 rows of int8 above 32 of int4_g32, each range stored for itself.

    - (C1) N and K are positive.
    - (C2) Ranges have rows, N in all, and another format than their neighbours.

    Example: `!qopt.weight<512x1408, int4_g32>`, `!qopt.weight<512x1408, int8, layout = host_tiled>`,
    `!qopt.weight<96x64, [64: int8, 32: int4_g32]>`.
  }];
  let parameters = (ins "int64_t":$rows, "int64_t":$columns, ArrayRefParameter<"::qopt::ir::RowRange">:$ranges,
                        EnumParameter<QOpt_Layout>:$layout);
  let builders = [
    TypeBuilder<(ins "int64_t":$rows, "int64_t":$columns, "::qopt::quant::Format":$format), [{
      return $_get($_ctxt, rows, columns, ::qopt::ir::RowRange{rows, format}, ::qopt::ir::Layout::Canonical);
    }]>,
  ];
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// True where all rows have one format.
    bool hasOneFormat() const { return getRanges().size() == 1; }
    /// The format of all rows, which must be one.
    ::qopt::quant::Format getFormat() const;
    /// The formats as they are printed: one, or each with its rows.
    std::string spellFormats() const;
    /// The same matrix in one other format, or in another layout.
    WeightType withFormat(::qopt::quant::Format format) const;
    WeightType withLayout(::qopt::ir::Layout layout) const;
  }];
}

def QOpt_QuantizedType : QOpt_Type<"Quantized", "quantized", [ShapedTypeInterface]> {
  let summary = "activations as codes with their scales";
  let description = [{
    A tensor whose values are stored as codes with one f32 scale per row, per row and group of the last dimension, or for
    all of it: then the scale is known when the model is compiled, and part of the type. It stands for the f32 tensor of
    the same shape with the values scale · code, or scale · (code − zero point) where codes are the model's own
    (`qopt.from_codes`): then each row has a zero point, too. Constraints:

    - (C1) The shape has at least one dimension, and the last one is static.
    - (C2) The format is a symmetric one of integers or fp8, with f32 scales, or `int8_asym`.
    - (C3) A format with one scale per tensor has `scale`, a positive, finite f32; others have none.

    Example: `!qopt.quantized<?x512, int8_g32_sf32>`, `!qopt.quantized<?x512, fp8_e4m3>`,
    `!qopt.quantized<?x512, int8_tensor, scale = 1.250000e-02>`.
  }];
  let parameters = (ins ArrayRefParameter<"int64_t">:$shape, QOpt_FormatParameter:$format,
                        OptionalParameter<"::mlir::FloatAttr">:$scale);
  let builders = [
    TypeBuilder<(ins "::llvm::ArrayRef<int64_t>":$shape, "::qopt::quant::Format":$format), [{
      return $_get($_ctxt, shape, format, ::mlir::FloatAttr());
    }]>,
  ];
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Whether activations in the format have zero points: `int8_asym`.
    static bool isCentred(::qopt::quant::Format format);
    // What ShapedTypeInterface asks for; the element type is that of the values it stands for.
    bool hasRank() const { return true; }
    ::mlir::Type getElementType() const;
    ::mlir::ShapedType cloneWith(std::optional<llvm::ArrayRef<int64_t>> shape, ::mlir::Type elementType) const;
  }];
}

def QOpt_KVCacheType : QOpt_Type<"KVCache", "kv_cache"> {
  let summary = "keys and values of every sequence and layer";
  let description = [{
    The state of a decoder as a value: an operation that changes it takes one and returns the next. For each sequence and
    layer it holds the keys and the values seen so far, [length, kv_heads, head_size] each, in pages of `page` tokens.
    `key` and `value` are the format of all layers, or a list with that of each: `value = [f16, int4]`. So are `recent` and
    `first`, numbers of positions: `recent = [0, 32]`; not given, they are 0. A layer's keys and values have the same, for they
    are written and read side by side. Constraints:

    - (C1) All sizes are positive.
    - (C2) Keys and values have a format without scales, or a symmetric one with one scale for each position and head (spelt
      as for a channel: `int8`, `int4`, `fp8_e4m3`), or integers in groups, with f16 scales and perhaps zero points that are
      fractions (`int4_g32`, `int2_asym_g32_zf`): keys, whose channels differ most, with a scale for each channel and a group of
      positions, values with one for each position and a group of channels.
    - (C3) A group of keys is a multiple of 32 positions and divides the page; one of values is a multiple of 16 channels and
      divides the head.
    - (C4) The `recent` latest positions, as each query sees them, and the `first` ones are kept in f16 as well, and read so:
      multiples of 32 and 16; `recent` is at least the layer's group of keys, and not 0 where `first` is not. Without `recent`,
      keys in groups have 16 bits until a step fills their group.
    - (C5) A list has a format, or a number, for each layer, and not the same for all; a single number is not 0.

    Example: `!qopt.kv_cache<layers = 8, kv_heads = 4, head_size = 64, key = f16, value = f16, page = 16>`,
    `!qopt.kv_cache<layers = 2, kv_heads = 4, head_size = 64, key = int8, value = [int4, f16], page = 16, recent = [32, 0]>`.
  }];
  let parameters = (ins "int64_t":$layers, "int64_t":$kv_heads, "int64_t":$head_size, QOpt_LayerFormatsParameter:$key,
                        QOpt_LayerFormatsParameter:$value, "int64_t":$page,
                        QOpt_LayerCountsParameter:$recent, QOpt_LayerCountsParameter:$first);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Of one layer.
    struct Formats {
      ::qopt::quant::Format key, value;
    };
    ::qopt::quant::Format keyOf(int64_t layer) const { return formatOf(getKey(), layer); }
    ::qopt::quant::Format valueOf(int64_t layer) const { return formatOf(getValue(), layer); }
    int64_t recentOf(int64_t layer) const { return countOf(getRecent(), layer); }
    int64_t firstOf(int64_t layer) const { return countOf(getFirst(), layer); }
    /// As `key` and `value` have them: one where all layers have the same.
    static llvm::ArrayRef<::qopt::quant::Format> listed(llvm::ArrayRef<::qopt::quant::Format> ofLayers) {
      return llvm::all_equal(ofLayers) ? ofLayers.take_front() : ofLayers;
    }
    /// As `recent` and `first` have them: none where all are 0.
    static llvm::ArrayRef<int64_t> listed(llvm::ArrayRef<int64_t> ofLayers);
  }];
}

def QOpt_BatchType : QOpt_Type<"Batch", "batch"> {
  let summary = "which token of a flat batch belongs where";
  let description = [{
    The descriptor of a ragged batch. The tokens of several sequences lie one sequence after the other in one dimension
    of T tokens; the descriptor knows, for each, its sequence and position, the pages of each sequence's cache, and
    the rows whose logits were asked for. Prefill, decode and mixtures of both differ in it alone.
  }];
}

// Constraints on operands.
def QOpt_FloatType : AnyTypeOf<[F32, F16, BF16], "f32, f16 or bf16">;
def QOpt_Tensor : RankedTensorOf<[QOpt_FloatType]>;
def QOpt_Vector : 1DTensorOf<[QOpt_FloatType]>;
def QOpt_VectorOrMatrix : TensorRankOf<[QOpt_FloatType], [1, 2]>;
def QOpt_IntTensor : RankedTensorOf<[I32, I64]>;
def QOpt_CodeTensor : RankedTensorOf<[I8, UI8]>;
def QOpt_TensorOrQuantized : AnyTypeOf<[QOpt_Tensor, QOpt_QuantizedType]>;

#endif // QOPT_TYPES_TD
