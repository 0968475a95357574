// What an operator asks of sizes becomes a requirement on the arguments' sizes, unless their names prove it.
// RUN: qopt-opt %s -pass-pipeline='builtin.module(func.func(qopt-raise-requirements))' -split-input-file \
// RUN:   -verify-diagnostics | FileCheck %s

// CHECK-LABEL: func @add
// CHECK-SAME: (%[[X:.*]]: tensor<?xf32> {{.*}}, %[[Z:.*]]: tensor<?xf32>
// CHECK-DAG: %[[N:.*]] = tensor.dim %[[X]]
// CHECK-DAG: %[[M:.*]] = tensor.dim %[[Z]]
// CHECK: qopt.require broadcast %[[N]], %[[M]]
// CHECK: onnx.Add
func.func @add(%x: tensor<?xf32> {onnx.dims = ["n"]}, %z: tensor<?xf32> {onnx.dims = ["m"]}) -> tensor<?xf32> {
  %y = onnx.Add %x, %z : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// The same name is the same size.
// CHECK-LABEL: func @same
// CHECK-NOT: qopt.require
func.func @same(%x: tensor<?xf32> {onnx.dims = ["n"]}, %z: tensor<?xf32> {onnx.dims = ["n"]}) -> tensor<?xf32> {
  %y = onnx.Add %x, %z : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// Two products ask the same question; it is put once.
// CHECK-LABEL: func @matmul
// CHECK: qopt.require equal
// CHECK-NOT: qopt.require
func.func @matmul(%x: tensor<?x?xf32> {onnx.dims = ["n", "k"]}, %z: tensor<?x?xf32> {onnx.dims = ["j", "m"]})
    -> (tensor<?x?xf32>, tensor<?x?xf32>) {
  %y = onnx.MatMul %x, %z : (tensor<?x?xf32>, tensor<?x?xf32>) -> tensor<?x?xf32>
  %s = onnx.Relu %x : (tensor<?x?xf32>) -> tensor<?x?xf32>
  %t = onnx.MatMul %s, %z : (tensor<?x?xf32>, tensor<?x?xf32>) -> tensor<?x?xf32>
  return %y, %t : tensor<?x?xf32>, tensor<?x?xf32>
}

// Seven elements have no three rows; six have.
// CHECK-LABEL: func @reshape
// CHECK-DAG: %[[THREE:.*]] = arith.constant 3 : index
// CHECK-DAG: %[[N:.*]] = tensor.dim
// CHECK: qopt.require multiple_of %[[N]], %[[THREE]]
func.func @reshape(%x: tensor<?xf32> {onnx.dims = ["n"]}) -> tensor<3x?xf32> {
  %shape = onnx.Constant dense<[3, -1]> : tensor<2xi64>
  %y = onnx.Reshape %x, %shape : (tensor<?xf32>, tensor<2xi64>) -> tensor<3x?xf32>
  return %y : tensor<3x?xf32>
}

// CHECK-LABEL: func @topk
// CHECK: %[[FIVE:.*]] = arith.constant 5 : index
// CHECK: qopt.require at_most %[[FIVE]], %{{.*}}
func.func @topk(%x: tensor<?xf32> {onnx.dims = ["n"]}) -> tensor<5xf32> {
  %k = onnx.Constant dense<5> : tensor<1xi64>
  %y, %i = onnx.TopK %x, %k : (tensor<?xf32>, tensor<1xi64>) -> (tensor<5xf32>, tensor<5xi64>)
  return %y : tensor<5xf32>
}

// -----

func.func @never(%x: tensor<4x2xf32>) -> tensor<2xf32> {
  %i = onnx.Constant dense<4> : tensor<i64>
  // expected-error @+1 {{the sizes 5 and 4 do not fit; expected the first to be at most the second}}
  %y = onnx.Gather %x, %i : (tensor<4x2xf32>, tensor<i64>) -> tensor<2xf32>
  return %y : tensor<2xf32>
}
