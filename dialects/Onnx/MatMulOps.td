// Operators that contract axes: products of matrices, convolutions, Einstein sums.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_DIALECTS_ONNX_MATMULOPS_TD
#define QOPT_DIALECTS_ONNX_MATMULOPS_TD

include "dialects/Onnx/OnnxBase.td"

def Onnx_MatMulOp : Onnx_Op<"MatMul", "matrix product with NumPy's rules for leading axes and vectors"> {
  let arguments = (ins AnyTensor:$a, AnyTensor:$b);
  let results = (outs AnyTensor:$y);
}

def Onnx_GemmOp : Onnx_Op<"Gemm", "alpha A B + beta C on matrices, A and B possibly transposed"> {
  let arguments = (ins AnyTensor:$a, AnyTensor:$b, Onnx_Optional:$c, Onnx_Float<"1.0f">:$alpha,
                       Onnx_Float<"1.0f">:$beta, Onnx_Flag<"false">:$transA, Onnx_Flag<"false">:$transB);
  let results = (outs AnyTensor:$y);
}

def Onnx_EinsumOp : Onnx_Op<"Einsum", "Einstein summation"> {
  let arguments = (ins Variadic<AnyTensor>:$inputs, StrAttr:$equation);
  let results = (outs AnyTensor:$result);
}

def Onnx_ConvOp : Onnx_Op<"Conv", "convolution over the axes after batch and channel"> {
  let description = [{
    x is [N, C, …], w is [M, C / group, …], bias is [M]. The importer writes strides, dilations, kernel_shape and pads
    (begins, then ends) out; only with `auto_pad` other than NOTSET the pads follow from the sizes.
  }];
  let arguments = (ins AnyTensor:$x, AnyTensor:$w, Onnx_Optional:$bias,
                       Onnx_Word<["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"], "NOTSET">:$auto_pad,
                       DenseI64ArrayAttr:$dilations, Onnx_Int<"1">:$group, DenseI64ArrayAttr:$kernel_shape,
                       DenseI64ArrayAttr:$pads, DenseI64ArrayAttr:$strides);
  let results = (outs AnyTensor:$y);
}

def Onnx_CausalConvWithStateOp
    : Onnx_Op<"CausalConvWithState", "depthwise causal convolution that carries its last inputs over"> {
  let description = "x is [B, C, L], w is [C, 1, k], the state [B, C, k - 1] holds the inputs before the first.";
  let arguments = (ins AnyTensor:$x, AnyTensor:$w, Onnx_Optional:$bias, Onnx_Optional:$past_state,
                       Onnx_Word<["none", "silu", "swish"], "none">:$activation);
  let results = (outs AnyTensor:$y, AnyTensor:$present_state);
}

#endif // QOPT_DIALECTS_ONNX_MATMULOPS_TD
