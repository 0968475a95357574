// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// An embedding looks up rows of a weight.

// CHECK-LABEL: @embedding
func.func @embedding(%ids: tensor<?xi32>, %w: !qopt.weight<512x64, int8>) -> tensor<?x64xf32> {
  // CHECK: qopt.embedding {{.*}} : tensor<?xi32>, !qopt.weight<512x64, int8> -> tensor<?x64xf32>
  %h = qopt.embedding %ids, %w : tensor<?xi32>, !qopt.weight<512x64, int8> -> tensor<?x64xf32>
  return %h : tensor<?x64xf32>
}
