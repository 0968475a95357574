// Floats of less than 16 bits are converted by arithmetic on their bits: no instruction has all of ONNX's rules.
// RUN: qopt-opt %s -qopt-lower-onnx | FileCheck %s --implicit-check-not=arith.truncf --implicit-check-not=arith.extf

// CHECK-LABEL: func @to_float
// CHECK: ^bb0(%[[CODE:.*]]: f8E5M2, %{{.*}}: f32)
// CHECK: %[[BITS:.*]] = arith.bitcast %[[CODE]] : f8E5M2 to i8
// CHECK: arith.extui %[[BITS]] : i8 to i32
// CHECK: arith.bitcast %{{.*}} : i32 to f32
func.func @to_float(%x: tensor<4xf8E5M2>) -> tensor<4xf32> {
  %y = onnx.Cast %x : (tensor<4xf8E5M2>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// CHECK-LABEL: func @to_code
// CHECK: ^bb0(%[[NUMBER:.*]]: f32, %{{.*}}: f4E2M1FN)
// CHECK: arith.bitcast %[[NUMBER]] : f32 to i32
// CHECK: %[[CODE:.*]] = arith.trunci %{{.*}} : i32 to i4
// CHECK: arith.bitcast %[[CODE]] : i4 to f4E2M1FN
func.func @to_code(%x: tensor<4xf32>) -> tensor<4xf4E2M1FN> {
  %y = onnx.Cast %x : (tensor<4xf32>) -> tensor<4xf4E2M1FN>
  return %y : tensor<4xf4E2M1FN>
}

// Moved codes stay as they are.
// CHECK-LABEL: func @moved
// CHECK-NOT: arith.bitcast
func.func @moved(%x: tensor<2x3xf8E4M3FN>) -> tensor<3x2xf8E4M3FN> {
  %y = onnx.Transpose %x {perm = array<i64: 1, 0>} : (tensor<2x3xf8E4M3FN>) -> tensor<3x2xf8E4M3FN>
  return %y : tensor<3x2xf8E4M3FN>
}
