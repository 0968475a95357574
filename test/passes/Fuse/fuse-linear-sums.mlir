// RUN: qopt-opt %s -pass-pipeline='builtin.module(func.func(qopt-fuse-linear,canonicalize,cse))' | FileCheck %s
// The residual sum of a norm is part of the linear behind it, whose region gives the sum to what adds to it next.

// CHECK-LABEL: @layer
// CHECK: %[[R:.*]]:2 = qopt.fused (%[[X:.*]] = %arg0, %[[P:.*]] = %arg2, %[[Z:.*]] = %arg1, %[[S:.*]] = %arg3, {{.*}}) : ({{.*}}) -> (tensor<?x32xf16>, tensor<?x64xf16>) {
// CHECK-NEXT: %[[N:.*]] = qopt.rms_norm %[[X]], %[[P]]
// CHECK-NEXT: %[[T:.*]] = arith.addf %[[Z]], %[[N]]
// CHECK-NEXT: %[[M:.*]] = qopt.rms_norm %[[T]], %[[S]]
// CHECK-NEXT: %[[Y:.*]] = qopt.linear %[[M]]
// CHECK-NEXT: %[[G:.*]] = qopt.gated_activation silu %[[Y]]
// CHECK-NEXT: qopt.yield %[[G]], %[[T]]
// CHECK: %[[D:.*]] = qopt.linear %[[R]]#0
// CHECK: qopt.fused (%{{.*}} = %[[D]], %{{.*}} = %arg2, %{{.*}} = %[[R]]#1,
// CHECK: arith.addf
// CHECK-NEXT: qopt.linear
func.func @layer(%x: tensor<?x64xf16>, %z: tensor<?x64xf16>, %post: tensor<64xf32>, %pre: tensor<64xf32>, %w: !qopt.weight<64x64, f16>, %d: !qopt.weight<64x32, f16>) -> tensor<?x64xf16> {
  %n = qopt.rms_norm %x, %post epsilon 1.0e-06 : tensor<?x64xf16>, tensor<64xf32> -> tensor<?x64xf16>
  %t = arith.addf %z, %n : tensor<?x64xf16>
  %m = qopt.rms_norm %t, %pre epsilon 1.0e-06 : tensor<?x64xf16>, tensor<64xf32> -> tensor<?x64xf16>
  %y = qopt.linear %m, %w : tensor<?x64xf16>, !qopt.weight<64x64, f16> -> tensor<?x64xf16>
  %g = qopt.gated_activation silu %y : tensor<?x64xf16> -> tensor<?x32xf16>
  %h = qopt.linear %g, %d : tensor<?x32xf16>, !qopt.weight<64x32, f16> -> tensor<?x64xf16>
  %o = qopt.rms_norm %h, %post epsilon 1.0e-06 : tensor<?x64xf16>, tensor<64xf32> -> tensor<?x64xf16>
  %u = arith.addf %t, %o : tensor<?x64xf16>
  %r = qopt.linear %u, %w : tensor<?x64xf16>, !qopt.weight<64x64, f16> -> tensor<?x64xf16>
  return %r : tensor<?x64xf16>
}

// One of several linears has the sum, the first: the others read it.
// CHECK-LABEL: @several
// CHECK: %[[R:.*]]:2 = qopt.fused (
// CHECK-NEXT: qopt.layer_norm
// CHECK-NEXT: arith.addf
// CHECK-NEXT: qopt.linear
// CHECK: qopt.linear %[[R]]#1
// CHECK: tensor.dim %arg0
func.func @several(%x: tensor<?x64xf16>, %z: tensor<?x64xf16>, %s: tensor<64xf32>, %b: tensor<64xf32>, %w: !qopt.weight<64x64, f16>) -> (tensor<?x64xf16>, tensor<?x64xf16>, index) {
  %c0 = arith.constant 0 : index
  %n = qopt.layer_norm %x, %s bias(%b : tensor<64xf32>) epsilon 1.0e-06 : tensor<?x64xf16>, tensor<64xf32> -> tensor<?x64xf16>
  %t = arith.addf %n, %z : tensor<?x64xf16>
  %y = qopt.linear %t, %w : tensor<?x64xf16>, !qopt.weight<64x64, f16> -> tensor<?x64xf16>
  %v = qopt.linear %t, %w : tensor<?x64xf16>, !qopt.weight<64x64, f16> -> tensor<?x64xf16>
  %r = tensor.dim %t, %c0 : tensor<?x64xf16>
  return %y, %v, %r : tensor<?x64xf16>, tensor<?x64xf16>, index
}

// What the linear adds to its result, or something ahead of it reads, is not made by its launch.
// CHECK-LABEL: @apart
// CHECK-NOT: :2 = qopt.fused
// CHECK: arith.addf
// CHECK: qopt.linear {{.*}} residual(
// CHECK: arith.addf
// CHECK: qopt.activation
// CHECK: qopt.fused
// CHECK-NEXT: qopt.rms_norm
// CHECK-NEXT: qopt.linear
// CHECK: return
func.func @apart(%x: tensor<?x64xf16>, %z: tensor<?x64xf16>, %s: tensor<64xf32>, %w: !qopt.weight<64x64, f16>) -> (tensor<?x64xf16>, tensor<?x64xf16>, tensor<?x64xf16>) {
  %n = qopt.rms_norm %x, %s epsilon 1.0e-06 : tensor<?x64xf16>, tensor<64xf32> -> tensor<?x64xf16>
  %t = arith.addf %z, %n : tensor<?x64xf16>
  %y = qopt.linear %t, %w residual(%t : tensor<?x64xf16>) : tensor<?x64xf16>, !qopt.weight<64x64, f16> -> tensor<?x64xf16>
  %m = qopt.rms_norm %z, %s epsilon 1.0e-06 : tensor<?x64xf16>, tensor<64xf32> -> tensor<?x64xf16>
  %u = arith.addf %z, %m : tensor<?x64xf16>
  %a = qopt.activation relu %u : tensor<?x64xf16> -> tensor<?x64xf16>
  %o = qopt.rms_norm %u, %s epsilon 1.0e-06 : tensor<?x64xf16>, tensor<64xf32> -> tensor<?x64xf16>
  %v = qopt.linear %o, %w : tensor<?x64xf16>, !qopt.weight<64x64, f16> -> tensor<?x64xf16>
  return %y, %a, %v : tensor<?x64xf16>, tensor<?x64xf16>, tensor<?x64xf16>
}
