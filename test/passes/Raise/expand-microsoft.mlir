// RUN: qopt-opt %s -qopt-expand-microsoft | FileCheck %s
// Fused operators of com.microsoft become standard ones that compute the same.

// The residual sum is a result of its own: what comes after reads it.
// CHECK-LABEL: @skip_norm
func.func @skip_norm(%x: tensor<?x?x4xf32>, %skip: tensor<?x?x4xf32>, %gamma: tensor<4xf32>) -> (tensor<?x?x4xf32>, tensor<?x?x4xf32>) {
  // CHECK: %[[SUM:.*]] = onnx.Add %arg0, %arg1
  // CHECK: %[[Y:.*]] = onnx.RMSNormalization %[[SUM]], %arg2
  // CHECK: return %[[Y]], %[[SUM]]
  %none = onnx.None
  %y, %mean, %deviation, %sum = onnx.ms.SkipSimplifiedLayerNormalization %x, %skip, %gamma, %none {epsilon = 1.0e-5 : f32} : (tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<4xf32>, none) -> (tensor<?x?x4xf32>, none, none, tensor<?x?x4xf32>)
  return %y, %sum : tensor<?x?x4xf32>, tensor<?x?x4xf32>
}

// CHECK-LABEL: @bias_gelu
func.func @bias_gelu(%x: tensor<?x4xf32>, %b: tensor<4xf32>) -> tensor<?x4xf32> {
  // CHECK: %[[SUM:.*]] = onnx.Add %arg0, %arg1
  // CHECK: onnx.Gelu %[[SUM]]
  %y = onnx.ms.BiasGelu %x, %b : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// CHECK-LABEL: @quick_gelu
func.func @quick_gelu(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  // CHECK-NOT: onnx.ms
  // CHECK: return
  %y = onnx.ms.QuickGelu %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// Rows of a table of codes that are elements: all of it dequantized, and Gather. A scale of a whole row is one a channel.
// CHECK-LABEL: @table
func.func @table(%ids: tensor<?xi64>) -> (tensor<?x32xf32>, tensor<?x32xf32>) {
  // CHECK: %[[A:.*]] = onnx.DequantizeLinear %{{.*}} {block_size = 16 : i64} : (tensor<8x32xi4>, tensor<8x2xf32>, none)
  // CHECK: onnx.Gather %[[A]], %arg0
  // CHECK: %[[S:.*]] = onnx.Reshape %{{.*}} -> tensor<8xf32>
  // CHECK: %[[B:.*]] = onnx.DequantizeLinear %{{.*}}, %[[S]], %{{.*}} {axis = 0 : i64} : (tensor<8x32xf8E4M3FN>, tensor<8xf32>, none)
  // CHECK: onnx.Gather %[[B]], %arg0
  %none = onnx.None
  %codes = onnx.Constant dense<3> : tensor<8x32xi4>
  %scales = onnx.Constant dense<0.5> : tensor<8x2xf32>
  %a = onnx.ms.GatherBlockQuantized %codes, %ids, %scales, %none {block_size = 16 : i64} : (tensor<8x32xi4>, tensor<?xi64>, tensor<8x2xf32>, none) -> tensor<?x32xf32>
  %floats = onnx.Constant dense<1.0> : tensor<8x32xf8E4M3FN>
  %rows = onnx.Constant dense<0.5> : tensor<8x1xf32>
  %b = onnx.ms.GatherBlockQuantized %floats, %ids, %rows, %none {block_size = 0 : i64} : (tensor<8x32xf8E4M3FN>, tensor<?xi64>, tensor<8x1xf32>, none) -> tensor<?x32xf32>
  return %a, %b : tensor<?x32xf32>, tensor<?x32xf32>
}

// Packed bytes are read as they are.
// CHECK-LABEL: @packed_table
// CHECK: onnx.ms.GatherBlockQuantized
func.func @packed_table(%ids: tensor<?xi64>) -> tensor<?x32xf32> {
  %none = onnx.None
  %codes = onnx.Constant dense<3> : tensor<8x16xui8>
  %scales = onnx.Constant dense<0.5> : tensor<8x1xf32>
  %y = onnx.ms.GatherBlockQuantized %codes, %ids, %scales, %none {block_size = 32 : i64} : (tensor<8x16xui8>, tensor<?xi64>, tensor<8x1xf32>, none) -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}
