// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// A ragged batch knows the position of each token.

// CHECK-LABEL: @positions
func.func @positions(%batch: !qopt.batch) -> tensor<?xi32> {
  // CHECK: qopt.positions %{{.*}} : tensor<?xi32>
  %p = qopt.positions %batch : tensor<?xi32>
  return %p : tensor<?xi32>
}
