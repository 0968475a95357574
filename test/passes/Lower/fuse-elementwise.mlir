// An elementwise result with one reader is computed in its reader; one with two readers is stored.
// RUN: qopt-opt %s -pass-pipeline='builtin.module(func.func(qopt-lower-arith,qopt-fuse-elementwise))' | FileCheck %s

// CHECK-LABEL: func @chain
// CHECK: linalg.generic
// CHECK: arith.addf
// CHECK-NEXT: arith.mulf
// CHECK-NOT: linalg.generic
func.func @chain(%x: tensor<8xf32>, %y: tensor<8xf32>) -> tensor<8xf32> {
  %sum = arith.addf %x, %y : tensor<8xf32>
  %product = arith.mulf %sum, %y : tensor<8xf32>
  return %product : tensor<8xf32>
}

// CHECK-LABEL: func @shared
// CHECK-COUNT-2: linalg.generic
func.func @shared(%x: tensor<8xf32>, %y: tensor<8xf32>) -> (tensor<8xf32>, tensor<8xf32>) {
  %sum = arith.addf %x, %y : tensor<8xf32>
  %product = arith.mulf %sum, %y : tensor<8xf32>
  return %sum, %product : tensor<8xf32>, tensor<8xf32>
}
