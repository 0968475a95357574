// Operators that read or write elements at computed places.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_DIALECTS_ONNX_GATHEROPS_TD
#define QOPT_DIALECTS_ONNX_GATHEROPS_TD

include "dialects/Onnx/OnnxBase.td"

def Onnx_GatherOp : Onnx_Op<"Gather", "slices of data at the given indices of an axis"> {
  let description = "The indices' shape replaces the axis. Negative indices count from the end.";
  let arguments = (ins AnyTensor:$data, AnyTensor:$indices, Onnx_Int<"0">:$axis);
  let results = (outs AnyTensor:$result);
}

def Onnx_GatherElementsOp : Onnx_Op<"GatherElements", "elements of data, one index each along an axis"> {
  let arguments = (ins AnyTensor:$data, AnyTensor:$indices, Onnx_Int<"0">:$axis);
  let results = (outs AnyTensor:$result);
}

def Onnx_GatherNDOp : Onnx_Op<"GatherND", "slices of data at index tuples"> {
  let description = "The last axis of the indices is a tuple of indices into data's axes after the batch dimensions.";
  let arguments = (ins AnyTensor:$data, AnyTensor:$indices, Onnx_Int<"0">:$batch_dims);
  let results = (outs AnyTensor:$result);
}

def Onnx_ScatterElementsOp : Onnx_Op<"ScatterElements", "data with elements replaced along an axis"> {
  let arguments = (ins AnyTensor:$data, AnyTensor:$indices, AnyTensor:$updates, Onnx_Int<"0">:$axis,
                       Onnx_Word<["none", "add", "mul", "max", "min"], "none">:$reduction);
  let results = (outs AnyTensor:$result);
}

def Onnx_ScatterNDOp : Onnx_Op<"ScatterND", "data with slices replaced at index tuples"> {
  let arguments = (ins AnyTensor:$data, AnyTensor:$indices, AnyTensor:$updates,
                       Onnx_Word<["none", "add", "mul", "max", "min"], "none">:$reduction);
  let results = (outs AnyTensor:$result);
}

def Onnx_TensorScatterOp : Onnx_Op<"TensorScatter", "a cache with new entries written at a row per sequence"> {
  let description = [{
    Entry j of sequence b goes to place write_indices[b] + j of `axis` (all 0 when absent), modulo the axis' size in
    `circular` mode.
  }];
  let arguments = (ins AnyTensor:$past_cache, AnyTensor:$update, Onnx_OptionalIndexTensor:$write_indices,
                       Onnx_Int<"-2">:$axis, Onnx_Word<["linear", "circular"], "linear">:$mode);
  let results = (outs AnyTensor:$present_cache);
}

def Onnx_NonZeroOp : Onnx_Op<"NonZero", "the indices of elements that are not zero"> {
  let description = "The result is [rank, count] of i64 in row-major order; count depends on the data.";
  let arguments = (ins AnyTensor:$data);
  let results = (outs AnyTensor:$result);
}

def Onnx_OneHotOp : Onnx_Op<"OneHot", "a new axis that is on at the index and off elsewhere"> {
  let description = "`values` is [off, on]; `depth` is the size of the new axis; indices out of range give all off.";
  let arguments = (ins AnyTensor:$indices, AnyTensor:$depth, AnyTensor:$values, Onnx_Int<"-1">:$axis);
  let results = (outs AnyTensor:$result);
}

#endif // QOPT_DIALECTS_ONNX_GATHEROPS_TD
