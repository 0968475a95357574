// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// A fused region reads its inputs alone and names the kernel that runs it, when there is one.

// CHECK-LABEL: @rotate
func.func @rotate(%x: tensor<?x8x64xf32>, %cos: tensor<?x32xf32>, %sin: tensor<?x32xf32>) -> tensor<?x8x64xf32> {
  // CHECK: qopt.fused (%[[A:.*]] = %{{.*}}, %{{.*}} = %{{.*}}, %{{.*}} = %{{.*}}) : ({{.*}}) -> tensor<?x8x64xf32> {
  // CHECK-NEXT: qopt.rotary %[[A]]
  // CHECK-NEXT: qopt.yield
  %r = qopt.fused (%a = %x, %c = %cos, %s = %sin) : (tensor<?x8x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>) -> tensor<?x8x64xf32> {
    %y = qopt.rotary %a, %c, %s : tensor<?x8x64xf32>, tensor<?x32xf32>
    qopt.yield %y : tensor<?x8x64xf32>
  }
  return %r : tensor<?x8x64xf32>
}

// CHECK-LABEL: @named
func.func @named(%x: tensor<4xf32>) -> tensor<4xf32> {
  // CHECK: qopt.fused kernel rotary_append (
  %r = qopt.fused kernel rotary_append (%a = %x) : (tensor<4xf32>) -> tensor<4xf32> {
    qopt.yield %a : tensor<4xf32>
  }
  return %r : tensor<4xf32>
}
