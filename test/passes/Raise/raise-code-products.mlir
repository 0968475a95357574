// RUN: qopt-opt %s -pass-pipeline='builtin.module(func.func(qopt-raise-code-products,cse))' | FileCheck %s
// Products of codes with constant codes become linears: the file's codes, its scales behind the sum.

// MatMulInteger, and the scales of both sides: zero points of 0 in signed codes are none.
// CHECK-LABEL: func @dynamic
// CHECK-DAG: %[[W:.*]] = qopt.weight "w" codes({{.*}}) scales({{.*}} : tensor<3xf32>) transposed encoding dequantize_linear : !qopt.weight<3x4, int8>
// CHECK-DAG: %[[X:.*]] = qopt.from_codes %arg0 scale %arg1 zero %arg2
// CHECK: %[[Y:.*]] = qopt.linear %[[X]], %[[W]]
// CHECK: return %[[Y]]
func.func @dynamic(%x: tensor<?x4xui8>, %s: tensor<f32>, %z: tensor<ui8>) -> tensor<?x3xf32> {
  %w = onnx.Constant dense_resource<w> : tensor<4x3xi8>
  %wz = onnx.Constant dense<0> : tensor<3xi8>
  %ws = onnx.Constant dense<[0.5, 0.25, 1.0]> : tensor<3xf32>
  %p = onnx.MatMulInteger %x, %w, %z, %wz : (tensor<?x4xui8>, tensor<4x3xi8>, tensor<ui8>, tensor<3xi8>) -> tensor<?x3xi32>
  %c = onnx.Cast %p : (tensor<?x3xi32>) -> tensor<?x3xf32>
  %f = onnx.Mul %s, %ws : (tensor<f32>, tensor<3xf32>) -> tensor<3xf32>
  %y = onnx.Mul %c, %f : (tensor<?x3xf32>, tensor<3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// One scale and zero point of the matrix are those of each row; unsigned codes have a zero point though the file has none.
// CHECK-LABEL: func @one_scale
// CHECK: scales(dense<5.000000e-01> : tensor<3xf32>) zeros(dense<0> : tensor<3xui8>) {{.*}} : !qopt.weight<3x4, int8_asym>
func.func @one_scale(%x: tensor<?x4xui8>, %s: tensor<1xf32>, %z: tensor<1xui8>) -> tensor<?x3xf32> {
  %none = onnx.None
  %w = onnx.Constant dense_resource<w> : tensor<4x3xui8>
  %ws = onnx.Constant dense<0.5> : tensor<1xf32>
  %p = onnx.MatMulInteger %x, %w, %z, %none : (tensor<?x4xui8>, tensor<4x3xui8>, tensor<1xui8>, none) -> tensor<?x3xi32>
  %c = onnx.Cast %p : (tensor<?x3xi32>) -> tensor<?x3xf32>
  %f = onnx.Mul %ws, %s : (tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
  %y = onnx.Mul %f, %c : (tensor<1xf32>, tensor<?x3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// One constant for the scales of both sides: x has scale 1.
// CHECK-LABEL: func @joined_scales
// CHECK-DAG: %[[ONE:.*]] = onnx.Constant dense<1.000000e+00> : tensor<f32>
// CHECK-DAG: scales(dense<2.500000e-01> : tensor<3xf32>) {{.*}} : !qopt.weight<3x4, int8>
// CHECK-DAG: qopt.from_codes %arg0 scale %[[ONE]]
// CHECK: qopt.linear
func.func @joined_scales(%x: tensor<?x4xui8>, %z: tensor<ui8>) -> tensor<?x3xf32> {
  %none = onnx.None
  %w = onnx.Constant dense_resource<w> : tensor<4x3xi8>
  %f = onnx.Constant dense<0.25> : tensor<f32>
  %p = onnx.MatMulInteger %x, %w, %z, %none : (tensor<?x4xui8>, tensor<4x3xi8>, tensor<ui8>, none) -> tensor<?x3xi32>
  %c = onnx.Cast %p : (tensor<?x3xi32>) -> tensor<?x3xf32>
  %y = onnx.Mul %c, %f : (tensor<?x3xf32>, tensor<f32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// A zero point for each row of x does not factor out.
// CHECK-LABEL: func @rows
// CHECK: onnx.MatMulInteger
func.func @rows(%x: tensor<2x4xui8>, %s: tensor<f32>, %z: tensor<2xui8>) -> tensor<2x3xf32> {
  %none = onnx.None
  %w = onnx.Constant dense_resource<w> : tensor<4x3xi8>
  %ws = onnx.Constant dense<0.5> : tensor<f32>
  %p = onnx.MatMulInteger %x, %w, %z, %none : (tensor<2x4xui8>, tensor<4x3xi8>, tensor<2xui8>, none) -> tensor<2x3xi32>
  %c = onnx.Cast %p : (tensor<2x3xi32>) -> tensor<2x3xf32>
  %f = onnx.Mul %ws, %s : (tensor<f32>, tensor<f32>) -> tensor<f32>
  %y = onnx.Mul %c, %f : (tensor<2x3xf32>, tensor<f32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

// Two DequantizeLinear; the bias of 32-bit codes is a constant.
// CHECK-LABEL: func @static
// CHECK-DAG: %[[B:.*]] = onnx.Constant dense<[5.000000e+00, 1.000000e+01, -1.500000e+01]> : tensor<3xf32>
// CHECK-DAG: %[[W:.*]] = qopt.weight "rows" {{.*}} encoding dequantize_linear : !qopt.weight<3x4, int8>
// CHECK: qopt.linear {{.*}}, %[[W]] bias(%[[B]] : tensor<3xf32>)
func.func @static(%x: tensor<?x4xi8>) -> tensor<?x3xf32> {
  %none = onnx.None
  %s = onnx.Constant dense<0.5> : tensor<f32>
  %z = onnx.Constant dense<-7> : tensor<i8>
  %w = onnx.Constant dense_resource<rows> : tensor<3x4xi8>
  %ws = onnx.Constant dense<[0.5, 0.25, 1.0]> : tensor<3xf32>
  %b = onnx.Constant dense<[10, 20, -30]> : tensor<3xi32>
  %dx = onnx.DequantizeLinear %x, %s, %z : (tensor<?x4xi8>, tensor<f32>, tensor<i8>) -> tensor<?x4xf32>
  %dw = onnx.DequantizeLinear %w, %ws, %none {axis = 0 : i64} : (tensor<3x4xi8>, tensor<3xf32>, none) -> tensor<3x4xf32>
  %db = onnx.DequantizeLinear %b, %s, %none : (tensor<3xi32>, tensor<f32>, none) -> tensor<3xf32>
  %y = onnx.Gemm %dx, %dw, %db {transB = true} : (tensor<?x4xf32>, tensor<3x4xf32>, tensor<3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// Scales along the columns that are summed do not factor out, square as the matrix may be.
// CHECK-LABEL: func @columns
// CHECK: onnx.MatMul
func.func @columns(%x: tensor<?x4xi8>) -> tensor<?x4xf32> {
  %none = onnx.None
  %s = onnx.Constant dense<0.5> : tensor<f32>
  %w = onnx.Constant dense_resource<square> : tensor<4x4xi8>
  %ws = onnx.Constant dense<[0.5, 0.25, 1.0, 2.0]> : tensor<4xf32>
  %dx = onnx.DequantizeLinear %x, %s, %none : (tensor<?x4xi8>, tensor<f32>, none) -> tensor<?x4xf32>
  %dw = onnx.DequantizeLinear %w, %ws, %none {axis = 0 : i64} : (tensor<4x4xi8>, tensor<4xf32>, none) -> tensor<4x4xf32>
  %y = onnx.MatMul %dx, %dw : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// The factor a_scale · b_scale / y_scale is the weight's, then the result is codes of scale 1.
// CHECK-LABEL: func @operator
// CHECK: qopt.weight "w" {{.*}} scales(dense<[1.000000e+00, 5.000000e-01, 2.000000e+00]> : tensor<3xf32>)
// CHECK: %[[Y:.*]] = qopt.linear
// CHECK: onnx.QuantizeLinear %[[Y]]
func.func @operator(%x: tensor<?x4xui8>) -> tensor<?x3xui8> {
  %s = onnx.Constant dense<0.5> : tensor<f32>
  %z = onnx.Constant dense<9> : tensor<ui8>
  %w = onnx.Constant dense_resource<w> : tensor<4x3xi8>
  %wz = onnx.Constant dense<0> : tensor<i8>
  %ws = onnx.Constant dense<[0.5, 0.25, 1.0]> : tensor<3xf32>
  %ys = onnx.Constant dense<0.25> : tensor<f32>
  %y = onnx.QLinearMatMul %x, %s, %z, %w, %ws, %wz, %ys, %z : (tensor<?x4xui8>, tensor<f32>, tensor<ui8>, tensor<4x3xi8>, tensor<3xf32>, tensor<i8>, tensor<f32>, tensor<ui8>) -> tensor<?x3xui8>
  return %y : tensor<?x3xui8>
}

// Scales and zero points that were not read, as a check leaves them, are as many as they would be.
// CHECK-LABEL: func @absent
// CHECK: qopt.weight "w" {{.*}} scales({{.*}} : tensor<3xf32>) zeros({{.*}} : tensor<3xui8>) {{.*}} : !qopt.weight<3x4, int8_asym>
func.func @absent(%x: tensor<?x4xui8>, %s: tensor<f32>, %z: tensor<ui8>) -> tensor<?x3xf32> {
  %w = onnx.Constant dense_resource<w> : tensor<4x3xui8>
  %wz = onnx.Constant dense_resource<unread_zeros> : tensor<3xui8>
  %ws = onnx.Constant dense_resource<unread_scales> : tensor<3xf32>
  %p = onnx.MatMulInteger %x, %w, %z, %wz : (tensor<?x4xui8>, tensor<4x3xui8>, tensor<ui8>, tensor<3xui8>) -> tensor<?x3xi32>
  %c = onnx.Cast %p : (tensor<?x3xi32>) -> tensor<?x3xf32>
  %f = onnx.Mul %s, %ws : (tensor<f32>, tensor<3xf32>) -> tensor<3xf32>
  %y = onnx.Mul %c, %f : (tensor<?x3xf32>, tensor<3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

{-#
  dialect_resources: {
    builtin: {
      w: "0x04000000010203040506070809101112",
      rows: "0x04000000010203040506070809101112",
      square: "0x0400000001020304050607080910111213141516"
    }
  }
#-}
