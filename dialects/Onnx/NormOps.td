// Normalisations, softmax included.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_DIALECTS_ONNX_NORMOPS_TD
#define QOPT_DIALECTS_ONNX_NORMOPS_TD

include "dialects/Onnx/OnnxBase.td"

def Onnx_SoftmaxOp : Onnx_Op<"Softmax", "exp(x) divided by its sum along one axis"> {
  let description = [{
    Before opset 13 the operator flattened all axes from `axis` on; the importer writes such a node with reshapes.
  }];
  let arguments = (ins AnyTensor:$x, Onnx_Int<"-1">:$axis);
  let results = (outs AnyTensor:$y);
}

def Onnx_LogSoftmaxOp : Onnx_Op<"LogSoftmax", "logarithm of the softmax along one axis"> {
  let arguments = (ins AnyTensor:$x, Onnx_Int<"-1">:$axis);
  let results = (outs AnyTensor:$y);
}

def Onnx_LayerNormalizationOp : Onnx_Op<"LayerNormalization", "(x - mean) / sqrt(variance + epsilon) * scale + bias"> {
  let description = "Mean and variance are over all axes from `axis` on; f32 arithmetic when `stash_type` is 1.";
  let arguments = (ins AnyTensor:$x, AnyTensor:$scale, Onnx_Optional:$bias, Onnx_Int<"-1">:$axis,
                       Onnx_Float<"1e-5f">:$epsilon, Onnx_Int<"1">:$stash_type);
  let results = (outs AnyTensor:$y, Onnx_Optional:$mean, Onnx_Optional:$inv_std_dev);
}

def Onnx_RMSNormalizationOp : Onnx_Op<"RMSNormalization", "x / sqrt(mean of squares + epsilon) * scale"> {
  let description = "The mean is over all axes from `axis` on; f32 arithmetic when `stash_type` is 1.";
  let arguments = (ins AnyTensor:$x, AnyTensor:$scale, Onnx_Int<"-1">:$axis, Onnx_Float<"1e-5f">:$epsilon,
                       Onnx_Int<"1">:$stash_type);
  let results = (outs AnyTensor:$y);
}

def Onnx_GroupNormalizationOp : Onnx_Op<"GroupNormalization", "normalisation over groups of channels (axis 1)"> {
  let arguments = (ins AnyTensor:$x, AnyTensor:$scale, AnyTensor:$bias, Onnx_I64:$num_groups,
                       Onnx_Float<"1e-5f">:$epsilon, Onnx_Int<"1">:$stash_type);
  let results = (outs AnyTensor:$y);
}

def Onnx_LpNormalizationOp : Onnx_Op<"LpNormalization", "x divided by its p-norm along an axis"> {
  let arguments = (ins AnyTensor:$x, Onnx_Int<"-1">:$axis, Onnx_Int<"2">:$p);
  let results = (outs AnyTensor:$y);
}

#endif // QOPT_DIALECTS_ONNX_NORMOPS_TD
