// RUN: qopt-opt %s -qopt-expand-onnx | FileCheck %s
// Operators that say several things in one node, written out.

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

// Zeros alone have scale 0, and are not divided by it.
// CHECK-LABEL: @dynamic
func.func @dynamic(%x: tensor<?x8xf32>) -> (tensor<?x8xui8>, tensor<f32>, tensor<ui8>) {
  // CHECK: %[[SCALE:.*]] = onnx.Div
  // CHECK: %[[DIVISOR:.*]] = onnx.Where {{.*}}, %[[SCALE]]
  // CHECK: %[[ZERO:.*]] = onnx.Cast {{.*}} -> tensor<ui8>
  // CHECK: %[[Y:.*]] = onnx.QuantizeLinear %arg0, %[[DIVISOR]], %[[ZERO]]
  // CHECK: return %[[Y]], %[[SCALE]], %[[ZERO]]
  %y, %scale, %zero = onnx.DynamicQuantizeLinear %x : (tensor<?x8xf32>) -> (tensor<?x8xui8>, tensor<f32>, tensor<ui8>)
  return %y, %scale, %zero : tensor<?x8xui8>, tensor<f32>, tensor<ui8>
}

// Moments in f32, over the channels of a group and all that is behind them.
// CHECK-LABEL: @groups
func.func @groups(%x: tensor<?x4x?xf16>, %scale: tensor<4xf16>, %bias: tensor<4xf16>) -> tensor<?x4x?xf16> {
  // CHECK: %[[WIDE:.*]] = onnx.Cast %arg0
  // CHECK: %[[ROWS:.*]] = onnx.Reshape %[[WIDE]]
  // CHECK-SAME: -> tensor<?x2x?xf32>
  // CHECK: onnx.ReduceMean %[[ROWS]]
  // CHECK: onnx.Reshape {{.*}} -> tensor<?x4x?xf16>
  %y = onnx.GroupNormalization %x, %scale, %bias {num_groups = 2 : i64} : (tensor<?x4x?xf16>, tensor<4xf16>, tensor<4xf16>) -> tensor<?x4x?xf16>
  return %y : tensor<?x4x?xf16>
}

// CHECK-LABEL: @state
func.func @state(%x: tensor<?x4x?xf32>, %w: tensor<4x1x3xf32>, %past: tensor<?x4x2xf32>) -> (tensor<?x4x?xf32>, tensor<?x4x2xf32>) {
  // CHECK: %[[PAST:.*]] = onnx.Reshape %arg2, %{{.*}} -> tensor<?x4x2xf32>
  // CHECK: %[[ROW:.*]] = onnx.Concat %[[PAST]], %arg0 {axis = 2 : i64}
  // CHECK: %[[SUM:.*]] = onnx.Conv %[[ROW]], %arg1
  // CHECK-SAME: group = 4
  // CHECK: %[[GATE:.*]] = onnx.Sigmoid %[[SUM]]
  // CHECK: %[[Y:.*]] = onnx.Mul %[[SUM]], %[[GATE]]
  // CHECK: %[[STATE:.*]] = onnx.Slice %[[ROW]]
  // CHECK: return %[[Y]], %[[STATE]]
  %none = onnx.None
  %y, %state = onnx.CausalConvWithState %x, %w, %none, %past {activation = "silu"} : (tensor<?x4x?xf32>, tensor<4x1x3xf32>, none, tensor<?x4x2xf32>) -> (tensor<?x4x?xf32>, tensor<?x4x2xf32>)
  return %y, %state : tensor<?x4x?xf32>, tensor<?x4x2xf32>
}

// CHECK-LABEL: @classes
func.func @classes(%x: tensor<?xi64>, %depth: tensor<f32>, %values: tensor<2xf32>) -> tensor<?x?xf32> {
  // CHECK: %[[COUNT:.*]] = onnx.Cast %arg1 {{.*}} -> tensor<i64>
  // CHECK: onnx.OneHot %arg0, %[[COUNT]], %arg2
  %y = onnx.OneHot %x, %depth, %values : (tensor<?xi64>, tensor<f32>, tensor<2xf32>) -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}
