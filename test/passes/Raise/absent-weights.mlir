// RUN: qopt-opt %s -qopt-fold-weights -qopt-raise-weights -qopt-fold-equal-weights -qopt-group-projection-rows | FileCheck %s
// RUN: qopt-opt %s -qopt-fold-equal-weights --remarks-filter-missed=qopt-fold-equal-weights --remark-format=emitRemark -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK
// Weights whose elements are not there, as a check has them, become what they would be with their elements.

// REMARK: "head" has the shape of the table "embed", but their elements were not read
// REMARK-NOT: "same" has the shape

// CHECK-LABEL: @computed
func.func @computed(%x: tensor<?x2xf32>) -> tensor<?x3xf32> {
  // CHECK: %[[W:.*]] = qopt.weight "left_1" codes(dense_resource<left_1> : tensor<2x3xf32>) transposed
  // CHECK: qopt.linear %{{.*}}, %[[W]]
  %a = onnx.Constant dense_resource<left> : tensor<2x1xf32>
  %b = onnx.Constant dense_resource<right> : tensor<2x2xf32>
  %w = onnx.Concat %a, %b {axis = 1} : (tensor<2x1xf32>, tensor<2x2xf32>) -> tensor<2x3xf32>
  %y = onnx.MatMul %x, %w : (tensor<?x2xf32>, tensor<2x3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// One array is one weight; whether two are equal is not known.

// CHECK-LABEL: @tied
func.func @tied(%ids: tensor<?xi32>) -> tensor<?x3xf32> {
  // CHECK: %[[TABLE:.*]] = qopt.weight "embed"
  // CHECK-NOT: "same"
  // CHECK: %[[HEAD:.*]] = qopt.weight "head"
  %table = qopt.weight "embed" codes(dense_resource<embed> : tensor<3x3xf32>) : !qopt.weight<3x3, f32>
  %same = qopt.weight "same" codes(dense_resource<embed> : tensor<3x3xf32>) : !qopt.weight<3x3, f32>
  %head = qopt.weight "head" codes(dense_resource<head> : tensor<3x3xf32>) : !qopt.weight<3x3, f32>
  %h = qopt.embedding %ids, %table : tensor<?xi32>, !qopt.weight<3x3, f32> -> tensor<?x3xf32>
  // CHECK: qopt.linear %{{.*}}, %[[TABLE]]
  // CHECK: qopt.linear %{{.*}}, %[[HEAD]]
  %m = qopt.linear %h, %same : tensor<?x3xf32>, !qopt.weight<3x3, f32> -> tensor<?x3xf32>
  %l = qopt.linear %m, %head : tensor<?x3xf32>, !qopt.weight<3x3, f32> -> tensor<?x3xf32>
  return %l : tensor<?x3xf32>
}

// CHECK-LABEL: @grouped
func.func @grouped(%x: tensor<?x?x1xf32> {onnx.dims = ["b", "s", 1]}) -> tensor<?x?x2x1xf32> {
  // CHECK: qopt.weight "w" codes(dense_resource<w> : tensor<4x1xf32>)
  // CHECK: onnx.Gather %{{.*}}, %{{.*}} {axis = 2 : i64} : (tensor<?x?x2x2x1xf32>, tensor<i64>) -> tensor<?x?x2x1xf32>
  %w = qopt.weight "w" codes(dense_resource<w> : tensor<4x1xf32>) : !qopt.weight<4x1, f32>
  %y = qopt.linear %x, %w : tensor<?x?x1xf32>, !qopt.weight<4x1, f32> -> tensor<?x?x4xf32>
  %shape = onnx.Constant dense<[0, 0, 2, 2, 1]> : tensor<5xi64>
  %heads = onnx.Reshape %y, %shape : (tensor<?x?x4xf32>, tensor<5xi64>) -> tensor<?x?x2x2x1xf32>
  %one = onnx.Constant dense<1> : tensor<i64>
  %v = onnx.Gather %heads, %one {axis = 3 : i64} : (tensor<?x?x2x2x1xf32>, tensor<i64>) -> tensor<?x?x2x1xf32>
  return %v : tensor<?x?x2x1xf32>
}
