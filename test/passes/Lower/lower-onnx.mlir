// What raising left of onnx becomes linalg; shape arithmetic leaves no trace, reshapes are views.
// RUN: qopt-opt %s -pass-pipeline='builtin.module(func.func(qopt-lower-onnx,canonicalize,cse))' | FileCheck %s

// CHECK-LABEL: func @broadcast
// CHECK-NOT: = onnx.
// CHECK: linalg.generic {indexing_maps = [#[[XY:.*]], #[[Y:.*]], #[[XY]]]
// CHECK: arith.mulf
func.func @broadcast(%x: tensor<?x4xf32> {onnx.dims = ["n", 4]}, %y: tensor<4xf32>) -> tensor<?x4xf32> {
  %z = onnx.Mul %x, %y : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %z : tensor<?x4xf32>
}

// CHECK-LABEL: func @reshape
// CHECK-SAME: (%[[X:.*]]: tensor<?x6xf32>
// CHECK-NOT: = onnx.
// CHECK: %[[N:.*]] = tensor.dim %[[X]]
// CHECK: tensor.expand_shape %[[X]] {{.*}} output_shape [%[[N]], 2, 3]
// CHECK-NOT: linalg.generic
func.func @reshape(%x: tensor<?x6xf32> {onnx.dims = ["n", 6]}) -> tensor<?x2x3xf32> {
  %shape = onnx.Shape %x : (tensor<?x6xf32>) -> tensor<2xi64>
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %n = onnx.Gather %shape, %zero : (tensor<2xi64>, tensor<1xi64>) -> tensor<1xi64>
  %rest = onnx.Constant dense<[2, 3]> : tensor<2xi64>
  %to = onnx.Concat %n, %rest {axis = 0 : i64} : (tensor<1xi64>, tensor<2xi64>) -> tensor<3xi64>
  %y = onnx.Reshape %x, %to : (tensor<?x6xf32>, tensor<3xi64>) -> tensor<?x2x3xf32>
  return %y : tensor<?x2x3xf32>
}

// A size that is a number where the type says `?` is one in the view's type too; a cast gives what users know.
// CHECK-LABEL: func @exact_view
// CHECK-SAME: (%[[X:.*]]: tensor<2xi64>
// CHECK: %[[VIEW:.*]] = tensor.expand_shape %[[X]] {{.*}} : tensor<2xi64> into tensor<2x1x1xi64>
// CHECK: tensor.cast %[[VIEW]] : tensor<2x1x1xi64> to tensor<?x1x1xi64>
func.func @exact_view(%x: tensor<2xi64>) -> tensor<?x1x1xi64> {
  %all = onnx.Constant dense<-1> : tensor<1xi64>
  %axes = onnx.Constant dense<[1, 2]> : tensor<2xi64>
  %row = onnx.Reshape %x, %all : (tensor<2xi64>, tensor<1xi64>) -> tensor<?xi64>
  %y = onnx.Unsqueeze %row, %axes : (tensor<?xi64>, tensor<2xi64>) -> tensor<?x1x1xi64>
  return %y : tensor<?x1x1xi64>
}

// CHECK-LABEL: func @sum
// CHECK: linalg.fill
// CHECK: iterator_types = ["parallel", "reduction"]
func.func @sum(%x: tensor<?x6xf32> {onnx.dims = ["n", 6]}) -> tensor<?x1xf32> {
  %axis = onnx.Constant dense<1> : tensor<1xi64>
  %y = onnx.ReduceSum %x, %axis : (tensor<?x6xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  return %y : tensor<?x1xf32>
}

// Indices that only a call knows are read through a check of the axis that they index; numbers need none.
// CHECK-LABEL: func @gather
// CHECK-SAME: (%[[X:.*]]: tensor<5x4xf32>, %[[I:.*]]: tensor<?xi64>)
// CHECK: %[[FIVE:.*]] = arith.constant 5 : index
// CHECK: %[[CHECKED:.*]] = qopt.check_indices %[[I]] limits(%[[FIVE]]) : tensor<?xi64>
// CHECK: linalg.generic
// CHECK: tensor.extract %[[CHECKED]]
// CHECK-NOT: qopt.check_indices
func.func @gather(%x: tensor<5x4xf32>, %i: tensor<?xi64>) -> (tensor<?x4xf32>, tensor<2x4xf32>) {
  %numbers = onnx.Constant dense<[-5, 4]> : tensor<2xi64>
  %y = onnx.Gather %x, %i : (tensor<5x4xf32>, tensor<?xi64>) -> tensor<?x4xf32>
  %z = onnx.Gather %x, %numbers : (tensor<5x4xf32>, tensor<2xi64>) -> tensor<2x4xf32>
  return %y, %z : tensor<?x4xf32>, tensor<2x4xf32>
}
