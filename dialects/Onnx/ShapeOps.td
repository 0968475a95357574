// Operators that move, view, join or make tensors without arithmetic on their elements.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_DIALECTS_ONNX_SHAPEOPS_TD
#define QOPT_DIALECTS_ONNX_SHAPEOPS_TD

include "dialects/Onnx/OnnxBase.td"

def Onnx_ConstantOp : Op<Onnx_Dialect, "Constant", [Pure, ConstantLike, AllTypesMatch<["value", "result"]>]> {
  let summary = "a tensor known at compile time";
  let description = [{
    Small tensors are dense attributes, so that folding can read them. Weights are dense_resource attributes whose blob
    lies in the mapped model file and are never copied; their alignment is that of the file, often one byte.

    Example: `%axes = onnx.Constant dense<[0, 1]> : tensor<2xi64>`
  }];
  let arguments = (ins ElementsAttr:$value);
  let results = (outs AnyTensor:$result);
  let assemblyFormat = "$value attr-dict";
  let hasFolder = 1;
}

def Onnx_NoneOp : Op<Onnx_Dialect, "None", [Pure]> {
  let summary = "stands for an operand that the file leaves out";
  let results = (outs NoneType:$result);
  let assemblyFormat = "attr-dict";
}

def Onnx_ConcatOp : Onnx_Op<"Concat", "the operands joined along an axis"> {
  let arguments = (ins Variadic<AnyTensor>:$inputs, Onnx_I64:$axis);
  let results = (outs AnyTensor:$result);
}

def Onnx_ConstantOfShapeOp : Onnx_Op<"ConstantOfShape", "a tensor of the given shape filled with one value"> {
  let arguments = (ins Onnx_IndexTensor:$shape, ElementsAttr:$value);
  let results = (outs AnyTensor:$result);
}

def Onnx_ExpandOp : Onnx_Op<"Expand", "data broadcast with a shape"> {
  let description = "Two-way broadcasting: a 1 in `shape` keeps the size of data.";
  let arguments = (ins AnyTensor:$data, Onnx_IndexTensor:$shape);
  let results = (outs AnyTensor:$result);
}

def Onnx_FlattenOp : Onnx_Op<"Flatten", "data as a matrix, split before an axis"> {
  let arguments = (ins AnyTensor:$data, Onnx_Int<"1">:$axis);
  let results = (outs AnyTensor:$result);
}

def Onnx_IdentityOp : Onnx_Op<"Identity", "the operand itself"> {
  let arguments = (ins AnyTensor:$data);
  let results = (outs AnyTensor:$result);
}

def Onnx_DropoutOp : Onnx_Op<"Dropout", "the operand itself (inference), and a mask of true"> {
  let arguments = (ins AnyTensor:$data, Onnx_Optional:$ratio, Onnx_Optional:$training_mode);
  let results = (outs AnyTensor:$result, Onnx_Optional:$mask);
}

def Onnx_PadOp : Onnx_Op<"Pad", "data with elements added at the ends of its axes"> {
  let description = [{
    `pads` lists the begins of all `axes` (all axes of data when absent), then the ends; negative pads crop.
  }];
  let arguments = (ins AnyTensor:$data, Onnx_IndexTensor:$pads, Onnx_Optional:$constant_value,
                       Onnx_OptionalIndexTensor:$axes,
                       Onnx_Word<["constant", "reflect", "edge", "wrap"], "constant">:$mode);
  let results = (outs AnyTensor:$result);
}

def Onnx_RangeOp : Onnx_Op<"Range", "start, start + delta, … below limit"> {
  let arguments = (ins AnyTensor:$start, AnyTensor:$limit, AnyTensor:$delta);
  let results = (outs AnyTensor:$result);
}

def Onnx_ReshapeOp : Onnx_Op<"Reshape", "data in row-major order with another shape"> {
  let description = [{
    A -1 in `shape` is inferred; a 0 copies the size of data at that place, unless `allowzero` makes it mean zero.
  }];
  let arguments = (ins AnyTensor:$data, Onnx_IndexTensor:$shape, Onnx_Flag<"false">:$allowzero);
  let results = (outs AnyTensor:$result);
}

def Onnx_ShapeOp : Onnx_Op<"Shape", "the sizes of data as a vector of i64"> {
  let description = "Only axes [start, end) where given; negative values count from the last axis.";
  let arguments = (ins AnyTensor:$data, Onnx_Int<"0">:$start, Onnx_OptionalInt:$end);
  let results = (outs AnyTensor:$result);
}

def Onnx_SizeOp : Onnx_Op<"Size", "the number of elements of data as an i64 scalar"> {
  let arguments = (ins AnyTensor:$data);
  let results = (outs AnyTensor:$result);
}

def Onnx_SliceOp : Onnx_Op<"Slice", "elements start, start + step, … before end of each axis"> {
  let description = "Negative starts and ends count from the end; values beyond the ends are clamped.";
  let arguments = (ins AnyTensor:$data, Onnx_IndexTensor:$starts, Onnx_IndexTensor:$ends,
                       Onnx_OptionalIndexTensor:$axes, Onnx_OptionalIndexTensor:$steps);
  let results = (outs AnyTensor:$result);
}

def Onnx_SplitOp : Onnx_Op<"Split", "data cut into pieces along an axis"> {
  let description = "Without `split`, pieces of equal size, the last one possibly shorter; one piece per result.";
  let arguments = (ins AnyTensor:$data, Onnx_OptionalIndexTensor:$split, Onnx_Int<"0">:$axis);
  let results = (outs Variadic<AnyTensor>:$pieces);
}

def Onnx_SqueezeOp : Onnx_Op<"Squeeze", "data without the given axes of size 1"> {
  let description = "Without `axes`, all axes of size 1 go.";
  let arguments = (ins AnyTensor:$data, Onnx_OptionalIndexTensor:$axes);
  let results = (outs AnyTensor:$result);
}

def Onnx_TileOp : Onnx_Op<"Tile", "data repeated along each axis"> {
  let arguments = (ins AnyTensor:$data, Onnx_IndexTensor:$repeats);
  let results = (outs AnyTensor:$result);
}

def Onnx_TransposeOp : Onnx_Op<"Transpose", "data with permuted axes"> {
  let description = "Axis i of the result is axis perm[i] of data. The importer writes `perm` out where it is absent.";
  let arguments = (ins AnyTensor:$data, DenseI64ArrayAttr:$perm);
  let results = (outs AnyTensor:$result);
}

def Onnx_TriluOp : Onnx_Op<"Trilu", "upper or lower triangle, zeros elsewhere"> {
  let description = "The diagonal is shifted by the scalar `k` (0 when absent); positive shifts go up and right.";
  let arguments = (ins AnyTensor:$data, Onnx_Optional:$k, Onnx_Flag<"true">:$upper);
  let results = (outs AnyTensor:$result);
}

def Onnx_UnsqueezeOp : Onnx_Op<"Unsqueeze", "data with axes of size 1 inserted"> {
  let description = "`axes` are places in the result.";
  let arguments = (ins AnyTensor:$data, Onnx_IndexTensor:$axes);
  let results = (outs AnyTensor:$result);
}

#endif // QOPT_DIALECTS_ONNX_SHAPEOPS_TD
