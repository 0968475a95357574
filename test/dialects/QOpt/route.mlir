// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// The weights of the experts that a token takes.

// CHECK-LABEL: @some
func.func @some(%scores: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // CHECK: qopt.route 2 normalized %{{.*}} : tensor<?x8xf32>
  %w = qopt.route 2 normalized %scores : tensor<?x8xf32>
  return %w : tensor<?x8xf32>
}

// CHECK-LABEL: @all
func.func @all(%scores: tensor<?x?x4xf16>) -> tensor<?x?x4xf16> {
  // CHECK: qopt.route 4 %{{.*}} : tensor<?x?x4xf16>
  %w = qopt.route 4 %scores : tensor<?x?x4xf16>
  return %w : tensor<?x?x4xf16>
}
