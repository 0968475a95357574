// RUN: qopt-opt %s -qopt-fold-equal-weights | FileCheck %s
// RUN: qopt-opt %s -qopt-fold-equal-weights --remarks-filter-passed=qopt-fold-equal-weights --remark-format=emitRemark -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK
// A product with a transposed copy of a table that is looked up reads the table itself.

// REMARK: "head" is a copy of "embed", which is stored once
// REMARK-NOT: is a copy of

// CHECK-LABEL: @tied
func.func @tied(%ids: tensor<?xi32>) -> tensor<?x3xf32> {
  // CHECK: %[[TABLE:.*]] = qopt.weight "embed"
  // CHECK-NOT: "head"
  %table = qopt.weight "embed" codes(dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]> : tensor<3x2xf32>) : !qopt.weight<3x2, f32>
  %copy = qopt.weight "head" codes(dense<[[1.0, 3.0, 5.0], [2.0, 4.0, 6.0]]> : tensor<2x3xf32>) transposed : !qopt.weight<3x2, f32>
  %h = qopt.embedding %ids, %table : tensor<?xi32>, !qopt.weight<3x2, f32> -> tensor<?x2xf32>
  // CHECK: qopt.linear %{{.*}}, %[[TABLE]]
  %l = qopt.linear %h, %copy : tensor<?x2xf32>, !qopt.weight<3x2, f32> -> tensor<?x3xf32>
  return %l : tensor<?x3xf32>
}

// One element differs; and the same elements that are not transposed are another matrix.

// CHECK-LABEL: @different
func.func @different(%ids: tensor<?xi32>) -> tensor<?x2xf32> {
  %table = qopt.weight "embed" codes(dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>) : !qopt.weight<2x2, f32>
  // CHECK: %[[OTHER:.*]] = qopt.weight "other"
  %other = qopt.weight "other" codes(dense<[[1.0, 3.0], [2.0, 5.0]]> : tensor<2x2xf32>) transposed : !qopt.weight<2x2, f32>
  // CHECK: %[[TURNED:.*]] = qopt.weight "turned"
  %turned = qopt.weight "turned" codes(dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>) transposed : !qopt.weight<2x2, f32>
  %h = qopt.embedding %ids, %table : tensor<?xi32>, !qopt.weight<2x2, f32> -> tensor<?x2xf32>
  // CHECK: qopt.linear %{{.*}}, %[[OTHER]]
  %m = qopt.linear %h, %other : tensor<?x2xf32>, !qopt.weight<2x2, f32> -> tensor<?x2xf32>
  // CHECK: qopt.linear %{{.*}}, %[[TURNED]]
  %l = qopt.linear %m, %turned : tensor<?x2xf32>, !qopt.weight<2x2, f32> -> tensor<?x2xf32>
  return %l : tensor<?x2xf32>
}

// One weight that is used twice is folded without a remark.

// CHECK-LABEL: @shared
func.func @shared(%ids: tensor<?xi32>) -> tensor<?x3xf32> {
  // CHECK: %[[TABLE:.*]] = qopt.weight "embed"
  %table = qopt.weight "embed" codes(dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]> : tensor<3x2xf32>) : !qopt.weight<3x2, f32>
  %copy = qopt.weight "embed" codes(dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]> : tensor<3x2xf32>) : !qopt.weight<3x2, f32>
  %h = qopt.embedding %ids, %table : tensor<?xi32>, !qopt.weight<3x2, f32> -> tensor<?x2xf32>
  // CHECK: qopt.linear %{{.*}}, %[[TABLE]]
  %l = qopt.linear %h, %copy : tensor<?x2xf32>, !qopt.weight<3x2, f32> -> tensor<?x3xf32>
  return %l : tensor<?x3xf32>
}
