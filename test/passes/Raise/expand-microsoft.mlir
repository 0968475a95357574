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
