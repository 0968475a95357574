// Arithmetic on whole tensors becomes one generic an op; the body of a fused region stays.
// RUN: qopt-opt %s -pass-pipeline='builtin.module(func.func(qopt-lower-arith))' | FileCheck %s

// CHECK-LABEL: func @residual
// CHECK-SAME: (%[[X:.*]]: tensor<?x4xf32>, %[[Y:.*]]: tensor<?x4xf32>)
// CHECK: %[[ROWS:.*]] = tensor.dim %[[X]]
// CHECK: %[[INIT:.*]] = tensor.empty(%[[ROWS]])
// CHECK: linalg.generic
// CHECK-SAME: ins(%[[X]], %[[Y]]
// CHECK-SAME: outs(%[[INIT]]
// CHECK: arith.addf %{{.*}}, %{{.*}} : f32
func.func @residual(%x: tensor<?x4xf32>, %y: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %sum = arith.addf %x, %y : tensor<?x4xf32>
  return %sum : tensor<?x4xf32>
}

// CHECK-LABEL: func @in_a_region
// CHECK: arith.addf %{{.*}}, %{{.*}} : tensor<?x4xf32>
func.func @in_a_region(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %r = qopt.fused (%a = %x) : (tensor<?x4xf32>) -> tensor<?x4xf32> {
    %y = arith.addf %a, %a : tensor<?x4xf32>
    qopt.yield %y : tensor<?x4xf32>
  }
  return %r : tensor<?x4xf32>
}

// A route has no kernel: largest score, powers, places, what is kept, its sum, the quotient.
// CHECK-LABEL: func @route
// CHECK-NOT: qopt.route
// CHECK-COUNT-6: linalg.generic
// CHECK-NOT: linalg.generic
// CHECK: return
func.func @route(%scores: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %w = qopt.route 2 normalized %scores : tensor<?x4xf32>
  return %w : tensor<?x4xf32>
}
