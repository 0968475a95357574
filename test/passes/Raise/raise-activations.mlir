// Activation functions are recognised by their values, however they are spelt.
// RUN: qopt-opt %s -pass-pipeline='builtin.module(func.func(qopt-raise-activations),cse)' | FileCheck %s

// CHECK-LABEL: func @silu
// CHECK: qopt.gated_activation silu %arg0, %arg1
func.func @silu(%x: tensor<?x4xf32>, %up: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %s = onnx.Sigmoid %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %silu = onnx.Mul %x, %s : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %y = onnx.Mul %silu, %up : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// x · 0.5 · (1 + erf(x / √2)), the factor last.
// CHECK-LABEL: func @gelu_erf
// CHECK: %[[Y:.*]] = qopt.activation gelu_erf %arg0
// CHECK: return %[[Y]]
func.func @gelu_erf(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %root = onnx.Constant dense<1.41421354> : tensor<f32>
  %one = onnx.Constant dense<1.0> : tensor<f32>
  %half = onnx.Constant dense<0.5> : tensor<f32>
  %scaled = onnx.Div %x, %root : (tensor<?x4xf32>, tensor<f32>) -> tensor<?x4xf32>
  %erf = onnx.Erf %scaled : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %sum = onnx.Add %erf, %one : (tensor<?x4xf32>, tensor<f32>) -> tensor<?x4xf32>
  %product = onnx.Mul %x, %sum : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %y = onnx.Mul %product, %half : (tensor<?x4xf32>, tensor<f32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// With another constant it is no GELU: only the erf stays as it was.
// CHECK-LABEL: func @not_gelu
// CHECK-NOT: qopt.activation
func.func @not_gelu(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %root = onnx.Constant dense<1.5> : tensor<f32>
  %one = onnx.Constant dense<1.0> : tensor<f32>
  %scaled = onnx.Div %x, %root : (tensor<?x4xf32>, tensor<f32>) -> tensor<?x4xf32>
  %erf = onnx.Erf %scaled : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %sum = onnx.Add %erf, %one : (tensor<?x4xf32>, tensor<f32>) -> tensor<?x4xf32>
  %y = onnx.Mul %x, %sum : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// Nothing of qopt computes with f64.
// CHECK-LABEL: func @of_doubles
// CHECK-NOT: qopt.activation
func.func @of_doubles(%x: tensor<?x4xf64>) -> tensor<?x4xf64> {
  %y = onnx.Tanh %x : (tensor<?x4xf64>) -> tensor<?x4xf64>
  return %y : tensor<?x4xf64>
}
