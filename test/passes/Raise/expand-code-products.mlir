// RUN: qopt-opt %s -qopt-expand-code-products | FileCheck %s
// Products of codes that no linear computes, written out.

// The product is exact: 32-bit integers, each less its zero point; one a row is a column.
// CHECK-LABEL: @integers
func.func @integers(%a: tensor<?x8xui8>, %b: tensor<8x4xi8>, %rows: tensor<?xui8>) -> tensor<?x4xi32> {
  // CHECK: %[[A:.*]] = onnx.Cast %arg0 {{.*}} -> tensor<?x8xi32>
  // CHECK: %[[COLUMN:.*]] = onnx.Unsqueeze %arg2
  // CHECK: %[[ZERO:.*]] = onnx.Cast %[[COLUMN]]
  // CHECK: %[[CENTRED:.*]] = onnx.Sub %[[A]], %[[ZERO]]
  // CHECK: %[[B:.*]] = onnx.Cast %arg1 {{.*}} -> tensor<8x4xi32>
  // CHECK: onnx.MatMul %[[CENTRED]], %[[B]]
  %none = onnx.None
  %y = onnx.MatMulInteger %a, %b, %rows, %none : (tensor<?x8xui8>, tensor<8x4xi8>, tensor<?xui8>, none) -> tensor<?x4xi32>
  return %y : tensor<?x4xi32>
}

// One factor a_scale · b_scale / y_scale, then codes of scale 1.
// CHECK-LABEL: @quantized
func.func @quantized(%a: tensor<?x8xui8>, %as: tensor<f32>, %az: tensor<ui8>, %b: tensor<8x4xi8>, %bs: tensor<4xf32>, %bz: tensor<4xi8>, %ys: tensor<1xf32>, %yz: tensor<1xui8>) -> tensor<?x4xui8> {
  // CHECK: %[[PRODUCT:.*]] = onnx.MatMul
  // CHECK: %[[FACTORS:.*]] = onnx.Mul %arg1, %arg4
  // CHECK: %[[SCALE:.*]] = onnx.Squeeze %arg6
  // CHECK: %[[FACTOR:.*]] = onnx.Div %[[FACTORS]], %[[SCALE]]
  // CHECK: %[[REAL:.*]] = onnx.Cast %[[PRODUCT]]
  // CHECK: %[[Y:.*]] = onnx.Mul %[[REAL]], %[[FACTOR]]
  // CHECK: onnx.QuantizeLinear %[[Y]]
  %y = onnx.QLinearMatMul %a, %as, %az, %b, %bs, %bz, %ys, %yz : (tensor<?x8xui8>, tensor<f32>, tensor<ui8>, tensor<8x4xi8>, tensor<4xf32>, tensor<4xi8>, tensor<1xf32>, tensor<1xui8>) -> tensor<?x4xui8>
  return %y : tensor<?x4xui8>
}

// Of 8-bit floats it stays: there is no such product.
// CHECK-LABEL: @floats
func.func @floats(%a: tensor<?x8xf8E4M3FN>, %s: tensor<f32>, %z: tensor<f8E4M3FN>, %b: tensor<8x4xf8E4M3FN>) -> tensor<?x4xf8E4M3FN> {
  // CHECK: onnx.QLinearMatMul
  %y = onnx.QLinearMatMul %a, %s, %z, %b, %s, %z, %s, %z : (tensor<?x8xf8E4M3FN>, tensor<f32>, tensor<f8E4M3FN>, tensor<8x4xf8E4M3FN>, tensor<f32>, tensor<f8E4M3FN>, tensor<f32>, tensor<f8E4M3FN>) -> tensor<?x4xf8E4M3FN>
  return %y : tensor<?x4xf8E4M3FN>
}
