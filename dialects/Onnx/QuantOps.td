// Quantized forms of the default domain. Element types: i8, ui8, i16, ui16, i4, ui4 for codes, 8-bit and 4-bit floats.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_DIALECTS_ONNX_QUANTOPS_TD
#define QOPT_DIALECTS_ONNX_QUANTOPS_TD

include "dialects/Onnx/OnnxBase.td"

def Onnx_QuantizeLinearOp : Onnx_Op<"QuantizeLinear", "saturate(round(x / scale) + zero point), halves to even"> {
  let description = [{
    The scale is a scalar, a vector along `axis`, or with `block_size` > 0 one value per block of that many elements of
    `axis`. The result's element type is that of the zero point; the importer has resolved `output_dtype`.
    `precision` is the data type (10: f16, 16: bf16) that x, scale and quotient are rounded to; 0 is f32. `saturate`
    concerns 8-bit floats only. Codes that are floats have no zero point but 0, which names their type.
  }];
  let arguments = (ins AnyTensor:$x, AnyTensor:$scale, Onnx_Optional:$zero_point, Onnx_Int<"1">:$axis,
                       Onnx_Int<"0">:$block_size, Onnx_Int<"0">:$precision, Onnx_Flag<"true">:$saturate);
  let results = (outs AnyTensor:$y);
}

def Onnx_DequantizeLinearOp : Onnx_Op<"DequantizeLinear", "(x - zero point) * scale"> {
  let description = "Scale and zero point as in QuantizeLinear; without a zero point it is 0, for unsigned codes too.";
  let arguments = (ins AnyTensor:$x, AnyTensor:$scale, Onnx_Optional:$zero_point, Onnx_Int<"1">:$axis,
                       Onnx_Int<"0">:$block_size);
  let results = (outs AnyTensor:$y);
}

def Onnx_DynamicQuantizeLinearOp
    : Onnx_Op<"DynamicQuantizeLinear", "codes, scale and zero point of x from its own range (ui8)"> {
  let arguments = (ins AnyTensor:$x);
  let results = (outs AnyTensor:$y, AnyTensor:$scale, AnyTensor:$zero_point);
}

def Onnx_MatMulIntegerOp : Onnx_Op<"MatMulInteger", "product of 8-bit matrices less their zero points, in i32"> {
  let arguments = (ins AnyTensor:$a, AnyTensor:$b, Onnx_Optional:$a_zero_point, Onnx_Optional:$b_zero_point);
  let results = (outs AnyTensor:$y);
}

def Onnx_QLinearMatMulOp : Onnx_Op<"QLinearMatMul", "quantized product of quantized matrices"> {
  let arguments = (ins AnyTensor:$a, AnyTensor:$a_scale, AnyTensor:$a_zero_point, AnyTensor:$b, AnyTensor:$b_scale,
                       AnyTensor:$b_zero_point, AnyTensor:$y_scale, AnyTensor:$y_zero_point);
  let results = (outs AnyTensor:$y);
}

#endif // QOPT_DIALECTS_ONNX_QUANTOPS_TD
