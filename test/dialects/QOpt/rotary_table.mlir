// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// A table has a row of cosines and one of sines for each position.

// CHECK-LABEL: @table
func.func @table(%positions: tensor<?xi32>, %freq: tensor<4xf32>) -> tensor<?x4xf32> {
  // CHECK: %{{.*}}, %{{.*}} = qopt.rotary_table %{{.*}}, %{{.*}} scale {{.*}} : tensor<?xi32>, tensor<4xf32> -> tensor<?x4xf32>
  %cos, %sin = qopt.rotary_table %positions, %freq scale 1.0 : tensor<?xi32>, tensor<4xf32> -> tensor<?x4xf32>
  return %sin : tensor<?x4xf32>
}
