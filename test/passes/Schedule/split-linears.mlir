// A linear whose rows have several formats becomes one of each, with its part of the bias and its orders of sums; sources of
// one format stay together.
// RUN: qopt-opt %s -pass-pipeline='builtin.module(func.func(qopt-split-linears))' -split-input-file -verify-diagnostics | FileCheck %s

!int4 = !qopt.weight<2x64, int4_g32>
!int8 = !qopt.weight<2x64, int8>
!all = !qopt.weight<6x64, [2: int4_g32, 4: int8]>

// CHECK-LABEL: func @mixed
// CHECK-SAME: (%[[X:.*]]: tensor<?x64xf16>, %[[Q:.*]]: !qopt.weight<2x64, int4_g32>, %[[K:.*]]: !qopt.weight<2x64, int8>, %[[V:.*]]: !qopt
// CHECK: %[[FIRST:.*]] = arith.constant dense<[1.000000e+00, 2.000000e+00]> : tensor<2xf16>
// CHECK: %[[A:.*]] = qopt.linear %[[X]], %{{.*}} bias(%[[FIRST]] : tensor<2xf16>) {qopt.sum_orders = ["of int4"]} : {{.*}} -> tensor<?x2xf16>
// CHECK: %[[W:.*]] = qopt.concat_weights %[[K]], %[[V]]
// CHECK: %[[SECOND:.*]] = arith.constant dense<[3.000000e+00, 4.000000e+00, 5.000000e+00, 6.000000e+00]> : tensor<4xf16>
// CHECK: %[[B:.*]] = qopt.linear %[[X]], %[[W]] bias(%[[SECOND]] : tensor<4xf16>) {qopt.sum_orders = ["of int8"]} : {{.*}} -> tensor<?x4xf16>
// CHECK: %[[Y:.*]] = onnx.Concat %[[A]], %[[B]] {{.*}}axis = 1
// CHECK: return %[[Y]]
func.func @mixed(%x: tensor<?x64xf16>, %q: !int4, %k: !int8, %v: !int8) -> tensor<?x6xf16> {
  %bias = arith.constant dense<[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]> : tensor<6xf16>
  %w = qopt.concat_weights %q, %k, %v : !int4, !int8, !int8 -> !all
  %y = qopt.linear %x, %w bias(%bias : tensor<6xf16>) {qopt.sum_orders = [["of int4"], ["of int8"]]} : tensor<?x64xf16>, !all -> tensor<?x6xf16>
  return %y : tensor<?x6xf16>
}

// -----

// CHECK-LABEL: func @one
// CHECK: qopt.linear
// CHECK-NOT: onnx.Concat
func.func @one(%x: tensor<?x64xf16>, %w: !qopt.weight<2x64, int8>) -> tensor<?x2xf16> {
  %y = qopt.linear %x, %w : tensor<?x64xf16>, !qopt.weight<2x64, int8> -> tensor<?x2xf16>
  return %y : tensor<?x2xf16>
}

// -----

!all = !qopt.weight<6x64, [2: int4_g32, 4: int8]>

func.func @whole(%x: tensor<?x64xf16>, %w: !all) -> tensor<?x6xf16> {
  // expected-error @+1 {{its rows have several formats; expected a weight that is made of one of each, and no residual}}
  %y = qopt.linear %x, %w : tensor<?x64xf16>, !all -> tensor<?x6xf16>
  return %y : tensor<?x6xf16>
}

// -----

!int4 = !qopt.weight<2x64, int4_g32>
!int8 = !qopt.weight<2x64, int8>
!all = !qopt.weight<4x64, [2: int4_g32, 2: int8]>

func.func @bias(%x: tensor<?x64xf16>, %q: !int4, %k: !int8, %bias: tensor<4xf16>) -> tensor<?x4xf16> {
  %w = qopt.concat_weights %q, %k : !int4, !int8 -> !all
  // expected-error @+1 {{its bias is no constant, its rows have several formats; expected a constant}}
  %y = qopt.linear %x, %w bias(%bias : tensor<4xf16>) : tensor<?x64xf16>, !all -> tensor<?x4xf16>
  return %y : tensor<?x4xf16>
}
