// Attributes and enumerations: storage formats, layouts of weights, the closed lists of functions and algorithms.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_ATTRS_TD
#define QOPT_ATTRS_TD

include "dialects/QOpt/QOptDialect.td"
include "mlir/IR/EnumAttr.td"

def QOpt_FormatParameter : AttrOrTypeParameter<"::qopt::quant::Format", "storage format, spelt by lib/Quant"> {
  let parser = "::qopt::ir::parseFormat($_parser)";
  let printer = "$_printer << ::qopt::quant::spell($_self)";
}

def QOpt_LayerFormatsParameter : ArrayRefParameter<"::qopt::quant::Format", "one format of all layers, or one of each"> {
  let parser = "::qopt::ir::parseLayerFormats($_parser)";
  let printer = "::qopt::ir::printLayerFormats($_printer, $_self)";
}

def QOpt_LayerCountsParameter : OptionalArrayRefParameter<"int64_t", "one count of all layers, or one of each; none: 0"> {
  let parser = "::qopt::ir::parseLayerCounts($_parser)";
  let printer = "::qopt::ir::printLayerCounts($_printer, $_self)";
}

def QOpt_FormatAttr : QOpt_Attr<"Format", "format"> {
  let summary = "a storage format";
  let description = [{
    How elements are stored: element type, granularity of the scales, zero points, scale type. The spelling is that of
    the command line and of reports (`lib/Quant/Format.h`), for example `#qopt.format<int4_asym_g64>`.
  }];
  let parameters = (ins QOpt_FormatParameter:$value);
  let assemblyFormat = "`<` $value `>`";
}

class QOpt_Enum<string name, string summary, list<I32EnumAttrCase> cases> : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::qopt::ir";
  let genSpecializedAttr = 0;
}

class QOpt_EnumAttr<EnumAttrInfo info, string mnemonic> : EnumAttr<QOpt_Dialect, info, mnemonic>;

def QOpt_Layout : QOpt_Enum<"Layout", "how a weight lies in memory", [
  I32EnumAttrCase<"Canonical", 0, "canonical">, // row after row: lib/Quant/Storage.h
  I32EnumAttrCase<"HostTiled", 1, "host_tiled">, // tiles of 16 rows for the host's dot products
  I32EnumAttrCase<"CudaStrips", 2, "cuda_strips">, // strips of 16 rows in the order of tensor cores: lib/Kernels/SkinnyLinear
  I32EnumAttrCase<"CudaStripPairs", 3, "cuda_strip_pairs">, // the same, 8 rows and those that are N/2 behind them in a strip
  I32EnumAttrCase<"HostTiledSums", 4, "host_tiled_sums">, // host_tiled with sums of rows, for activations with zero points
]>;

def QOpt_Encoding : QOpt_Enum<"Encoding", "how a source file stores a weight", [
  I32EnumAttrCase<"Canonical", 0, "canonical">, // lib/Quant/Storage.h
  I32EnumAttrCase<"MatMulNBits", 1, "matmul_nbits">, // com.microsoft::MatMulNBits
  I32EnumAttrCase<"DequantizeLinear", 2, "dequantize_linear">, // ONNX DequantizeLinear
]>;
def QOpt_EncodingAttr : QOpt_EnumAttr<QOpt_Encoding, "encoding">;

def QOpt_Algorithm : QOpt_Enum<"Algorithm", "algorithm that chooses codes", [
  I32EnumAttrCase<"RoundToNearest", 0, "rtn">,
  I32EnumAttrCase<"ClipSearch", 1, "clip">, // a range with less error: lib/Quant/algorithms/GridSearch.h
  I32EnumAttrCase<"HalfQuadratic", 2, "hqq">, // fractional zero points: lib/Quant/algorithms/HalfQuadratic.h
]>;
def QOpt_AlgorithmAttr : QOpt_EnumAttr<QOpt_Algorithm, "algorithm">;

def QOpt_Function : QOpt_Enum<"Function", "activation function", [
  I32EnumAttrCase<"Silu", 0, "silu">, // x · sigmoid(x)
  I32EnumAttrCase<"GeluErf", 1, "gelu_erf">, // x/2 · (1 + erf(x/√2))
  I32EnumAttrCase<"GeluTanh", 2, "gelu_tanh">, // x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³)))
  I32EnumAttrCase<"GeluQuick", 3, "gelu_quick">, // x · sigmoid(1.702 x)
  I32EnumAttrCase<"Relu", 4, "relu">, // max(x, 0)
  I32EnumAttrCase<"Tanh", 5, "tanh">,
  I32EnumAttrCase<"Sigmoid", 6, "sigmoid">, // 1/(1 + exp(−x))
]>;
def QOpt_FunctionAttr : QOpt_EnumAttr<QOpt_Function, "function">;

def QOpt_BatchDim : QOpt_Enum<"BatchDim", "a size of a ragged batch", [
  I32EnumAttrCase<"Tokens", 0, "tokens">, // T: tokens of all sequences in this step
  I32EnumAttrCase<"Selected", 1, "selected">, // rows whose logits were asked for
]>;
def QOpt_BatchDimAttr : QOpt_EnumAttr<QOpt_BatchDim, "batch_dim">;

def QOpt_FusedKernel : QOpt_Enum<"FusedKernel", "kernel that runs a fused region in one launch", [
  I32EnumAttrCase<"RotaryAppend", 0, "rotary_append">, // rotary of queries and keys, then kv_append
  I32EnumAttrCase<"Linear", 1, "linear">, // a linear with what is ahead of it and behind it
]>;
def QOpt_FusedKernelAttr : QOpt_EnumAttr<QOpt_FusedKernel, "fused_kernel">;

def QOpt_KernelFamily : QOpt_Enum<"KernelFamily", "family of GPU kernels, a folder of lib/Kernels", [
  I32EnumAttrCase<"SkinnyLinear", 0, "skinny_linear">,
  I32EnumAttrCase<"AttentionDecode", 1, "attention_decode">,
  I32EnumAttrCase<"AttentionPrefill", 2, "attention_prefill">,
  I32EnumAttrCase<"RotaryAppend", 3, "rotary_append">,
  I32EnumAttrCase<"RotaryTable", 4, "rotary_table">,
  I32EnumAttrCase<"Norm", 5, "norm">,
  I32EnumAttrCase<"GatedActivation", 6, "gated_activation">,
  I32EnumAttrCase<"GatherRows", 7, "gather_rows">,
  I32EnumAttrCase<"Gemm", 8, "gemm">,
  I32EnumAttrCase<"Argmax", 9, "argmax">,
  I32EnumAttrCase<"Sampling", 10, "sampling">,
  I32EnumAttrCase<"Quantize", 11, "quantize">,
]>;

def QOpt_ArchitectureParameter : StringRefParameter<"an architecture, spelt by lib/Target"> {
  let parser = "::qopt::ir::parseArchitecture($_parser)";
  let printer = "$_printer << $_self";
}

def QOpt_KernelAttr : QOpt_Attr<"Kernel", "kernel"> {
  let summary = "the GPU kernel that was chosen for an op";
  let description = [{
    Family and schedule for one architecture and launches of at most `most` tokens; without `most`, of any number. The
    numbers of the schedule are those that the family's Schedule names (`visitFields` in lib/Kernels), integers or lists of
    them. What the kernel computes is not said here: it follows from the op. An op carries all its kernels as the list
    `qopt.kernels`, those of one architecture by rising `most` (and `sampling`, which other calls need than `argmax`, last); the pass SelectCudaKernels writes it and code generation
    obeys it. For example `#qopt.kernel<norm, sm_90a, {rows_per_block = 1, threads = 512, width = 8}>`.
  }];
  let parameters = (ins EnumParameter<QOpt_KernelFamily>:$family, QOpt_ArchitectureParameter:$architecture,
                    DefaultValuedParameter<"int64_t", "0">:$most, "::mlir::DictionaryAttr":$schedule);
  let assemblyFormat = "`<` $family `,` $architecture `,` (`most` `=` $most^ `,`)? custom<Numbers>($schedule) `>`";
}

def QOpt_Observed : QOpt_Enum<"Observed", "what calibration sees of a layer", [
  I32EnumAttrCase<"ArgumentGradient", 0, "argument_gradient">, // of an argument of the function, by its number
  I32EnumAttrCase<"Input", 1, "input">, // x of linears, by the names of their weights
  I32EnumAttrCase<"OutputGradient", 2, "output_gradient">, // of the results of linears and embeddings, by the names of their weights
  I32EnumAttrCase<"KeyGradient", 3, "key_gradient">, // of keys as attention reads them, by the number of the attention
  I32EnumAttrCase<"ValueGradient", 4, "value_gradient">, // of values, all the same
  I32EnumAttrCase<"Lookup", 5, "lookup">, // the ids whose rows embeddings give, by the names of their weights
  I32EnumAttrCase<"Key", 6, "key">, // keys as attention reads them, by the number of the attention
  I32EnumAttrCase<"Value", 7, "value">, // values, all the same
  I32EnumAttrCase<"FarKeyGradient", 8, "far_key_gradient">, // as key_gradient, of queries so many positions behind a key:
  I32EnumAttrCase<"FarValueGradient", 9, "far_value_gradient">, // by the attention's number and the distance
]>;

def QOpt_ObservationAttr : QOpt_Attr<"Observation", "observation"> {
  let summary = "what a result of a calibration function is";
  let description = [{
    ObserveLinears and DifferentiateFunction give results of a function one as `qopt.observation`: what it is, and of what. A value that
    is several (three projections read one input) is one result that names them all. For example
    `#qopt.observation<input of ["q_proj", "k_proj", "v_proj"]>` and `#qopt.observation<key_gradient of [0]>`.
  }];
  let parameters = (ins EnumParameter<QOpt_Observed>:$what, "::mlir::ArrayAttr":$of);
  let assemblyFormat = "`<` $what `of` $of `>`";
}

def QOpt_SizeRelation : QOpt_Enum<"SizeRelation", "what must hold of two sizes", [
  I32EnumAttrCase<"Equal", 0, "equal">, // lhs = rhs
  I32EnumAttrCase<"Broadcast", 1, "broadcast">, // lhs = rhs, or one is 1 and the other not 0
  I32EnumAttrCase<"AtMost", 2, "at_most">, // lhs <= rhs
  I32EnumAttrCase<"MultipleOf", 3, "multiple_of">, // lhs = i * rhs for an integer i
]>;
def QOpt_SizeRelationAttr : QOpt_EnumAttr<QOpt_SizeRelation, "size_relation">;

#endif // QOPT_ATTRS_TD
