// Operators that reduce, scan or rank along axes.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_DIALECTS_ONNX_REDUCEOPS_TD
#define QOPT_DIALECTS_ONNX_REDUCEOPS_TD

include "dialects/Onnx/OnnxBase.td"

/// Absent or empty `axes` mean all axes, or none with `noop_with_empty_axes`.
class Onnx_ReduceOp<string mnemonic, string text> : Onnx_Op<mnemonic, text> {
  let arguments = (ins AnyTensor:$data, Onnx_OptionalIndexTensor:$axes, Onnx_Flag<"true">:$keepdims,
                       Onnx_Flag<"false">:$noop_with_empty_axes);
  let results = (outs AnyTensor:$reduced);
}

def Onnx_ReduceL1Op : Onnx_ReduceOp<"ReduceL1", "sum of absolute values over axes">;
def Onnx_ReduceL2Op : Onnx_ReduceOp<"ReduceL2", "square root of the sum of squares over axes">;
def Onnx_ReduceLogSumExpOp : Onnx_ReduceOp<"ReduceLogSumExp", "logarithm of the sum of exponentials over axes">;
def Onnx_ReduceMaxOp : Onnx_ReduceOp<"ReduceMax", "maximum over axes">;
def Onnx_ReduceMeanOp : Onnx_ReduceOp<"ReduceMean", "mean over axes">;
def Onnx_ReduceMinOp : Onnx_ReduceOp<"ReduceMin", "minimum over axes">;
def Onnx_ReduceProdOp : Onnx_ReduceOp<"ReduceProd", "product over axes">;
def Onnx_ReduceSumOp : Onnx_ReduceOp<"ReduceSum", "sum over axes">;
def Onnx_ReduceSumSquareOp : Onnx_ReduceOp<"ReduceSumSquare", "sum of squares over axes">;

class Onnx_ArgOp<string mnemonic, string text> : Onnx_Op<mnemonic, text> {
  let description = "The first such index, or the last one with `select_last_index`. The result is i64.";
  let arguments = (ins AnyTensor:$data, Onnx_Int<"0">:$axis, Onnx_Flag<"true">:$keepdims,
                       Onnx_Flag<"false">:$select_last_index);
  let results = (outs AnyTensor:$reduced);
}

def Onnx_ArgMaxOp : Onnx_ArgOp<"ArgMax", "index of the largest element of an axis">;
def Onnx_ArgMinOp : Onnx_ArgOp<"ArgMin", "index of the smallest element of an axis">;

def Onnx_CumSumOp : Onnx_Op<"CumSum", "running sum along an axis"> {
  let description = "`axis` is a scalar. `exclusive` leaves the element itself out, `reverse` sums from the end.";
  let arguments = (ins AnyTensor:$x, Onnx_IndexTensor:$axis, Onnx_Flag<"false">:$exclusive,
                       Onnx_Flag<"false">:$reverse);
  let results = (outs AnyTensor:$y);
}

def Onnx_TopKOp : Onnx_Op<"TopK", "the k largest or smallest elements of an axis and their indices"> {
  let arguments = (ins AnyTensor:$x, Onnx_IndexTensor:$k, Onnx_Int<"-1">:$axis, Onnx_Flag<"true">:$largest,
                       Onnx_Flag<"true">:$sorted);
  let results = (outs AnyTensor:$values, AnyTensor:$indices);
}

#endif // QOPT_DIALECTS_ONNX_REDUCEOPS_TD
