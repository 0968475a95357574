// RUN: qopt-opt %s -pass-pipeline='builtin.module(func.func(qopt-raise-activations,cse))' | FileCheck %s
// The largest probabilities of a row among zeros are the weights of the experts that it takes.

// CHECK-LABEL: func @normalized
// CHECK-SAME: (%[[X:.*]]: tensor<?x4xf32>
// CHECK: %[[W:.*]] = qopt.route 2 normalized %[[X]] : tensor<?x4xf32>
// CHECK: return %[[W]]
func.func @normalized(%x: tensor<?x4xf32>, %shape: tensor<2xi64>) -> tensor<?x4xf32> {
  %k = onnx.Constant dense<2> : tensor<1xi64>
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %zero = onnx.Constant dense<0.0> : tensor<f32>
  %p = onnx.Softmax %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %v, %i = onnx.TopK %p, %k : (tensor<?x4xf32>, tensor<1xi64>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %sum = onnx.ReduceSum %v, %last : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %d = onnx.Div %v, %sum : (tensor<?x2xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>
  %z = onnx.Expand %zero, %shape : (tensor<f32>, tensor<2xi64>) -> tensor<?x4xf32>
  %w = onnx.ScatterElements %z, %i, %d {axis = 1 : i64} : (tensor<?x4xf32>, tensor<?x2xi64>, tensor<?x2xf32>) -> tensor<?x4xf32>
  return %w : tensor<?x4xf32>
}

// CHECK-LABEL: func @as_they_are
// CHECK: qopt.route 1 %{{.*}} : tensor<?x4xf32>
func.func @as_they_are(%x: tensor<?x4xf32>, %shape: tensor<2xi64>) -> tensor<?x4xf32> {
  %k = onnx.Constant dense<1> : tensor<1xi64>
  %zero = onnx.Constant dense<0.0> : tensor<f32>
  %p = onnx.Softmax %x {axis = 1 : i64} : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %v, %i = onnx.TopK %p, %k : (tensor<?x4xf32>, tensor<1xi64>) -> (tensor<?x1xf32>, tensor<?x1xi64>)
  %z = onnx.Expand %zero, %shape : (tensor<f32>, tensor<2xi64>) -> tensor<?x4xf32>
  %w = onnx.ScatterElements %z, %i, %v {axis = -1 : i64} : (tensor<?x4xf32>, tensor<?x1xi64>, tensor<?x1xf32>) -> tensor<?x4xf32>
  return %w : tensor<?x4xf32>
}

// The smallest, or a sum with what was there, are something else.
// CHECK-LABEL: func @others
// CHECK-NOT: qopt.route
// CHECK: onnx.ScatterElements
// CHECK: onnx.ScatterElements
func.func @others(%x: tensor<?x4xf32>, %shape: tensor<2xi64>) -> (tensor<?x4xf32>, tensor<?x4xf32>) {
  %k = onnx.Constant dense<1> : tensor<1xi64>
  %zero = onnx.Constant dense<0.0> : tensor<f32>
  %p = onnx.Softmax %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %v, %i = onnx.TopK %p, %k {largest = false} : (tensor<?x4xf32>, tensor<1xi64>) -> (tensor<?x1xf32>, tensor<?x1xi64>)
  %z = onnx.Expand %zero, %shape : (tensor<f32>, tensor<2xi64>) -> tensor<?x4xf32>
  %a = onnx.ScatterElements %z, %i, %v {axis = 1 : i64} : (tensor<?x4xf32>, tensor<?x1xi64>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %u, %j = onnx.TopK %p, %k : (tensor<?x4xf32>, tensor<1xi64>) -> (tensor<?x1xf32>, tensor<?x1xi64>)
  %b = onnx.ScatterElements %p, %j, %u {axis = 1 : i64} : (tensor<?x4xf32>, tensor<?x1xi64>, tensor<?x1xf32>) -> tensor<?x4xf32>
  return %a, %b : tensor<?x4xf32>, tensor<?x4xf32>
}
