// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// A weight of codes is transposed as real values, one of floats keeps its format.

// CHECK-LABEL: @codes
func.func @codes(%w: !qopt.weight<8x64, int4_g32>) -> !qopt.weight<64x8, f32> {
  // CHECK: qopt.transpose_weight %{{.*}} : !qopt.weight<8x64, int4_g32> -> !qopt.weight<64x8, f32>
  %t = qopt.transpose_weight %w : !qopt.weight<8x64, int4_g32> -> !qopt.weight<64x8, f32>
  return %t : !qopt.weight<64x8, f32>
}

// CHECK-LABEL: @ranges
func.func @ranges(%w: !qopt.weight<8x64, [4: int8, 4: f16]>) -> !qopt.weight<64x8, f32> {
  // CHECK: qopt.transpose_weight %{{.*}} : !qopt.weight<8x64, [4: int8, 4: f16]> -> !qopt.weight<64x8, f32>
  %t = qopt.transpose_weight %w : !qopt.weight<8x64, [4: int8, 4: f16]> -> !qopt.weight<64x8, f32>
  return %t : !qopt.weight<64x8, f32>
}

// CHECK-LABEL: @floats
func.func @floats(%w: !qopt.weight<8x64, f16>) -> !qopt.weight<64x8, f16> {
  // CHECK: qopt.transpose_weight %{{.*}} : !qopt.weight<8x64, f16> -> !qopt.weight<64x8, f16>
  %t = qopt.transpose_weight %w : !qopt.weight<8x64, f16> -> !qopt.weight<64x8, f16>
  return %t : !qopt.weight<64x8, f16>
}
