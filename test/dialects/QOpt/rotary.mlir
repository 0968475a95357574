// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// Heads are rotated by half or by neighbours, wholly or in part.

// CHECK-LABEL: @half_split
func.func @half_split(%x: tensor<?x8x8xf32>, %cos: tensor<?x4xf32>, %sin: tensor<?x4xf32>) -> tensor<?x8x8xf32> {
  // CHECK: qopt.rotary {{.*}} : tensor<?x8x8xf32>, tensor<?x4xf32>
  %y = qopt.rotary %x, %cos, %sin : tensor<?x8x8xf32>, tensor<?x4xf32>
  return %y : tensor<?x8x8xf32>
}

// CHECK-LABEL: @partial_interleaved
func.func @partial_interleaved(%x: tensor<2x?x8x64xf32>, %cos: tensor<1x?x16xf32>) -> tensor<2x?x8x64xf32> {
  // CHECK: qopt.rotary {{.*}} interleaved : tensor<2x?x8x64xf32>, tensor<1x?x16xf32>
  %y = qopt.rotary %x, %cos, %cos interleaved : tensor<2x?x8x64xf32>, tensor<1x?x16xf32>
  return %y : tensor<2x?x8x64xf32>
}
