// One op of each form survives printing and parsing: optional operands and results, words, flags, regions, constants.
// RUN: qopt-opt --verify-roundtrip %s | FileCheck %s

// CHECK-LABEL: func.func @optional
func.func @optional(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  // CHECK: %[[NONE:.*]] = onnx.None
  %none = onnx.None
  // CHECK: onnx.LayerNormalization %{{.*}}, %{{.*}}, %[[NONE]] {axis = 1 : i64} : (tensor<?x4xf32>, tensor<?x4xf32>, none) -> (tensor<?x4xf32>, none, none)
  %y, %mean, %dev = onnx.LayerNormalization %x, %x, %none {axis = 1 : i64} : (tensor<?x4xf32>, tensor<?x4xf32>, none) -> (tensor<?x4xf32>, none, none)
  // CHECK: onnx.Gelu %{{.*}} {approximate = "tanh"}
  %z = onnx.Gelu %y {approximate = "tanh"} : (tensor<?x4xf32>) -> tensor<?x4xf32>
  return %z : tensor<?x4xf32>
}

// CHECK-LABEL: func.func @constants
func.func @constants(%x: tensor<2x3xf32>) -> tensor<?xf32> {
  // CHECK: onnx.Constant dense<-1> : tensor<1xi64>
  %shape = onnx.Constant dense<-1> : tensor<1xi64>
  // A flag that has its default is not printed.
  // CHECK: onnx.Reshape %{{.*}}, %{{.*}} : (
  %y = onnx.Reshape %x, %shape {allowzero = false} : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// CHECK-LABEL: func.func @several
func.func @several(%x: tensor<4x6xf32>) -> tensor<4x6xf32> {
  %none = onnx.None
  // CHECK: %{{.*}}:2 = onnx.Split %{{.*}} {axis = 1 : i64}
  %a, %b = onnx.Split %x, %none {axis = 1 : i64} : (tensor<4x6xf32>, none) -> (tensor<4x3xf32>, tensor<4x3xf32>)
  // CHECK: onnx.Concat %{{.*}}#1, %{{.*}}#0 {axis = 1 : i64}
  %y = onnx.Concat %b, %a {axis = 1 : i64} : (tensor<4x3xf32>, tensor<4x3xf32>) -> tensor<4x6xf32>
  return %y : tensor<4x6xf32>
}

// CHECK-LABEL: func.func @branches
func.func @branches(%flag: tensor<i1>, %x: tensor<4xf32>) -> tensor<4xf32> {
  // CHECK: onnx.If %{{.*}} : (tensor<i1>) -> tensor<4xf32> {
  %y = onnx.If %flag : (tensor<i1>) -> tensor<4xf32> {
    // CHECK: onnx.Yield %{{.*}} : tensor<4xf32>
    onnx.Yield %x : tensor<4xf32>
    // CHECK: } else {
  } else {
    %z = onnx.Neg %x : (tensor<4xf32>) -> tensor<4xf32>
    onnx.Yield %z : tensor<4xf32>
  }
  return %y : tensor<4xf32>
}

// CHECK-LABEL: func.func @microsoft
func.func @microsoft(%a: tensor<?x32xf32>, %b: tensor<8x1x16xui8>, %s: tensor<8xf32>) -> tensor<?x8xf32> {
  %none = onnx.None
  // CHECK: onnx.ms.MatMulNBits {{.*}} {K = 32 : i64, N = 8 : i64, block_size = 32 : i64}
  %y = onnx.ms.MatMulNBits %a, %b, %s, %none, %none, %none {K = 32 : i64, N = 8 : i64, block_size = 32 : i64} : (tensor<?x32xf32>, tensor<8x1x16xui8>, tensor<8xf32>, none, none, none) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
