// RUN: qopt-opt %s -qopt-expand-onnx | FileCheck %s
// Operators that say several things in one node, written out.

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
