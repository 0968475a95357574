// RUN: qopt-opt %s -pass-pipeline='builtin.module(func.func(qopt-raise-code-products{symmetric=true},cse))' | FileCheck %s
// Kernels that take no zero points off the weight's codes: such products stay, the others become linears.

// CHECK-LABEL: func @without
// CHECK: qopt.linear {{.*}} !qopt.weight<3x4, int8>
func.func @without(%x: tensor<?x4xui8>, %s: tensor<f32>, %z: tensor<ui8>) -> tensor<?x3xf32> {
  %w = onnx.Constant dense_resource<w> : tensor<4x3xi8>
  %wz = onnx.Constant dense<0> : tensor<3xi8>
  %ws = onnx.Constant dense<[0.5, 0.25, 1.0]> : tensor<3xf32>
  %p = onnx.MatMulInteger %x, %w, %z, %wz : (tensor<?x4xui8>, tensor<4x3xi8>, tensor<ui8>, tensor<3xi8>) -> tensor<?x3xi32>
  %c = onnx.Cast %p : (tensor<?x3xi32>) -> tensor<?x3xf32>
  %f = onnx.Mul %s, %ws : (tensor<f32>, tensor<3xf32>) -> tensor<3xf32>
  %y = onnx.Mul %c, %f : (tensor<?x3xf32>, tensor<3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// CHECK-LABEL: func @with
// CHECK-NOT: qopt.linear
// CHECK: onnx.MatMulInteger
func.func @with(%x: tensor<?x4xui8>, %s: tensor<f32>, %z: tensor<ui8>) -> tensor<?x3xf32> {
  %w = onnx.Constant dense_resource<w> : tensor<4x3xi8>
  %wz = onnx.Constant dense<[0, 1, 0]> : tensor<3xi8>
  %ws = onnx.Constant dense<[0.5, 0.25, 1.0]> : tensor<3xf32>
  %p = onnx.MatMulInteger %x, %w, %z, %wz : (tensor<?x4xui8>, tensor<4x3xi8>, tensor<ui8>, tensor<3xi8>) -> tensor<?x3xi32>
  %c = onnx.Cast %p : (tensor<?x3xi32>) -> tensor<?x3xf32>
  %f = onnx.Mul %s, %ws : (tensor<f32>, tensor<3xf32>) -> tensor<3xf32>
  %y = onnx.Mul %c, %f : (tensor<?x3xf32>, tensor<3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// CHECK-LABEL: func @dequantized
// CHECK-NOT: qopt.linear
// CHECK: onnx.MatMul
func.func @dequantized(%x: tensor<?x4xi8>) -> tensor<?x3xf32> {
  %none = onnx.None
  %s = onnx.Constant dense<0.5> : tensor<f32>
  %w = onnx.Constant dense_resource<w> : tensor<4x3xi8>
  %wz = onnx.Constant dense<5> : tensor<i8>
  %dx = onnx.DequantizeLinear %x, %s, %none : (tensor<?x4xi8>, tensor<f32>, none) -> tensor<?x4xf32>
  %dw = onnx.DequantizeLinear %w, %s, %wz : (tensor<4x3xi8>, tensor<f32>, tensor<i8>) -> tensor<4x3xf32>
  %y = onnx.MatMul %dx, %dw : (tensor<?x4xf32>, tensor<4x3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// CHECK-LABEL: func @operator
// CHECK-NOT: qopt.linear
// CHECK: onnx.QLinearMatMul
func.func @operator(%x: tensor<?x4xui8>) -> tensor<?x3xui8> {
  %s = onnx.Constant dense<0.5> : tensor<f32>
  %z = onnx.Constant dense<9> : tensor<ui8>
  %w = onnx.Constant dense_resource<w> : tensor<4x3xi8>
  %wz = onnx.Constant dense<1> : tensor<i8>
  %y = onnx.QLinearMatMul %x, %s, %z, %w, %s, %wz, %s, %z : (tensor<?x4xui8>, tensor<f32>, tensor<ui8>, tensor<4x3xi8>, tensor<f32>, tensor<i8>, tensor<f32>, tensor<ui8>) -> tensor<?x3xui8>
  return %y : tensor<?x3xui8>
}

{-#
  dialect_resources: {
    builtin: {
      w: "0x04000000010203040506070809101112"
    }
  }
#-}
