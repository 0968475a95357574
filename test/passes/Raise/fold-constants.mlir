// Operators on constants are evaluated; weights and large results stay as they are.
// RUN: qopt-opt %s --split-input-file -pass-pipeline='builtin.module(func.func(qopt-fold-constants{max-bytes=64}))' | FileCheck %s

// CHECK-LABEL: func @chain
// CHECK-NEXT: %[[C:.*]] = onnx.Constant dense<[3, 5]> : tensor<2xi64>
// CHECK-NEXT: return %[[C]]
func.func @chain() -> tensor<2xi64> {
  %a = onnx.Constant dense<[1, 2]> : tensor<2xi64>
  %one = onnx.Constant dense<1> : tensor<i64>
  %b = onnx.Add %a, %a : (tensor<2xi64>, tensor<2xi64>) -> tensor<2xi64>
  %c = onnx.Add %b, %one : (tensor<2xi64>, tensor<i64>) -> tensor<2xi64>
  return %c : tensor<2xi64>
}

// -----

// CHECK-LABEL: func @known_sizes
// CHECK-NEXT: %[[C:.*]] = onnx.Constant dense<[4, 8]> : tensor<2xi64>
// CHECK-NEXT: return %[[C]]
func.func @known_sizes(%x: tensor<?x4x8xf32>) -> tensor<2xi64> {
  %s = onnx.Shape %x {start = -2 : i64} : (tensor<?x4x8xf32>) -> tensor<2xi64>
  return %s : tensor<2xi64>
}

// -----

// CHECK-LABEL: func @unknown_size
// CHECK: onnx.Shape
func.func @unknown_size(%x: tensor<?x4x8xf32>) -> tensor<3xi64> {
  %s = onnx.Shape %x : (tensor<?x4x8xf32>) -> tensor<3xi64>
  return %s : tensor<3xi64>
}

// -----

// CHECK-LABEL: func @too_large
// CHECK: onnx.Range
func.func @too_large() -> tensor<9xi64> {
  %zero = onnx.Constant dense<0> : tensor<i64>
  %one = onnx.Constant dense<1> : tensor<i64>
  %nine = onnx.Constant dense<9> : tensor<i64>
  %r = onnx.Range %zero, %nine, %one : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<9xi64>
  return %r : tensor<9xi64>
}

// -----

// CHECK-LABEL: func @weight
// CHECK: onnx.Transpose
func.func @weight() -> tensor<2x1xf32> {
  %w = onnx.Constant dense_resource<w> : tensor<1x2xf32>
  %t = onnx.Transpose %w {perm = array<i64: 1, 0>} : (tensor<1x2xf32>) -> tensor<2x1xf32>
  return %t : tensor<2x1xf32>
}
{-#
  dialect_resources: {
    builtin: {
      w: "0x040000000000803F00000040"
    }
  }
#-}

// -----

// CHECK-LABEL: func @exact_type
// CHECK: %[[S:.*]] = onnx.Constant dense<[2, 3]> : tensor<2xi64>
// CHECK: onnx.Reshape %arg0, %[[S]] : (tensor<6xf32>, tensor<2xi64>)
func.func @exact_type(%x: tensor<6xf32>) -> tensor<2x3xf32> {
  %a = onnx.Constant dense<2> : tensor<1xi64>
  %b = onnx.Constant dense<3> : tensor<1xi64>
  %s = onnx.Concat %a, %b {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>) -> tensor<?xi64>
  %y = onnx.Reshape %x, %s : (tensor<6xf32>, tensor<?xi64>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}
