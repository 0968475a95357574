// RUN: qopt-opt %s -qopt-raise-attention | FileCheck %s
// Two products around a softmax are attention, with its mask and its scale; the operator is too.

// CHECK-LABEL: @spelt_out
func.func @spelt_out(%q: tensor<?x8x?x16xf32>, %k: tensor<?x8x?x16xf32>, %v: tensor<?x8x?x16xf32>, %m: tensor<?x1x?x?xf32>) -> tensor<?x8x?x16xf32> {
  // CHECK: %[[Q:.*]] = onnx.Transpose %arg0 {perm = array<i64: 0, 2, 1, 3>}
  // CHECK: %[[Y:.*]] = qopt.attention %[[Q]], %arg1, %arg2 mask(%arg3 : tensor<?x1x?x?xf32>) scale 2.5{{.*}} : tensor<?x?x8x16xf32>
  // CHECK: onnx.Transpose %[[Y]] {perm = array<i64: 0, 2, 1, 3>}
  // CHECK-NOT: onnx.Softmax
  %scale = onnx.Constant dense<0.25> : tensor<f32>
  %kt = onnx.Transpose %k {perm = array<i64: 0, 1, 3, 2>} : (tensor<?x8x?x16xf32>) -> tensor<?x8x16x?xf32>
  %s = onnx.MatMul %q, %kt : (tensor<?x8x?x16xf32>, tensor<?x8x16x?xf32>) -> tensor<?x8x?x?xf32>
  %scaled = onnx.Mul %s, %scale : (tensor<?x8x?x?xf32>, tensor<f32>) -> tensor<?x8x?x?xf32>
  %masked = onnx.Add %scaled, %m : (tensor<?x8x?x?xf32>, tensor<?x1x?x?xf32>) -> tensor<?x8x?x?xf32>
  %p = onnx.Softmax %masked {axis = -1 : i64} : (tensor<?x8x?x?xf32>) -> tensor<?x8x?x?xf32>
  %y = onnx.MatMul %p, %v : (tensor<?x8x?x?xf32>, tensor<?x8x?x16xf32>) -> tensor<?x8x?x16xf32>
  return %y : tensor<?x8x?x16xf32>
}

// A softmax over the queries is something else.
// CHECK-LABEL: @other_axis
func.func @other_axis(%q: tensor<?x8x?x16xf32>, %k: tensor<?x8x16x?xf32>, %v: tensor<?x8x?x16xf32>) -> tensor<?x8x?x16xf32> {
  // CHECK-NOT: qopt.attention
  // CHECK: onnx.Softmax
  %s = onnx.MatMul %q, %k : (tensor<?x8x?x16xf32>, tensor<?x8x16x?xf32>) -> tensor<?x8x?x?xf32>
  %p = onnx.Softmax %s {axis = 2 : i64} : (tensor<?x8x?x?xf32>) -> tensor<?x8x?x?xf32>
  %y = onnx.MatMul %p, %v : (tensor<?x8x?x?xf32>, tensor<?x8x?x16xf32>) -> tensor<?x8x?x16xf32>
  return %y : tensor<?x8x?x16xf32>
}
