// RUN: qopt-opt %s -qopt-fold-weights -qopt-raise-weights | FileCheck %s
// What is computed of weights alone is a constant, and a product with it a linear.

// Shards of a weight.
// CHECK-LABEL: @joined
func.func @joined(%x: tensor<?x2xf32>) -> tensor<?x3xf32> {
  // CHECK: qopt.weight "left_1"
  // CHECK-SAME: !qopt.weight<3x2, f32>
  // CHECK: qopt.linear
  %a = onnx.Constant dense_resource<left> : tensor<2x1xf32>
  %b = onnx.Constant dense_resource<right> : tensor<2x2xf32>
  %w = onnx.Concat %a, %b {axis = 1} : (tensor<2x1xf32>, tensor<2x2xf32>) -> tensor<2x3xf32>
  %y = onnx.MatMul %x, %w : (tensor<?x2xf32>, tensor<2x3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// A widening cast is left out, before and behind a transpose: the weight has the file's type.
// CHECK-LABEL: @widened
func.func @widened(%x: tensor<?x2xf32>) -> (tensor<?x3xf32>, tensor<?x3xf32>) {
  // CHECK: qopt.weight "half" codes(dense_resource<half> : tensor<3x2xf16>) : !qopt.weight<3x2, f16>
  // CHECK-NOT: onnx.Cast
  %h = onnx.Constant dense_resource<half> : tensor<3x2xf16>
  %f = onnx.Cast %h : (tensor<3x2xf16>) -> tensor<3x2xf32>
  %t = onnx.Transpose %f {perm = array<i64: 1, 0>} : (tensor<3x2xf32>) -> tensor<2x3xf32>
  %y = onnx.MatMul %x, %t : (tensor<?x2xf32>, tensor<2x3xf32>) -> tensor<?x3xf32>
  %u = onnx.Transpose %h {perm = array<i64: 1, 0>} : (tensor<3x2xf16>) -> tensor<2x3xf16>
  %v = onnx.Cast %u : (tensor<2x3xf16>) -> tensor<2x3xf32>
  %z = onnx.MatMul %x, %v : (tensor<?x2xf32>, tensor<2x3xf32>) -> tensor<?x3xf32>
  return %y, %z : tensor<?x3xf32>, tensor<?x3xf32>
}

// Another shape of the same bytes is no copy.
// CHECK-LABEL: @reshaped
func.func @reshaped(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  // CHECK: qopt.weight "right" codes(dense_resource<right> : tensor<2x2xf32>)
  %flat = onnx.Constant dense_resource<right> : tensor<4xf32>
  %shape = onnx.Constant dense<[2, 2]> : tensor<2xi64>
  %w = onnx.Reshape %flat, %shape : (tensor<4xf32>, tensor<2xi64>) -> tensor<2x2xf32>
  %y = onnx.MatMul %x, %w : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

{-#
  dialect_resources: {
    builtin: {
      left: "0x040000000000803F00000040",
      right: "0x040000000000803F000000400000404000008040",
      half: "0x02000000003C00400042004400450046"
    }
  }
#-}
