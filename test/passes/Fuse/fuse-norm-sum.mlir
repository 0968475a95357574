// RUN: qopt-opt %s -qopt-fuse-norm-sum | FileCheck %s
// A norm behind a block and the residual's sum become one region, whichever term the norm is.

// CHECK-LABEL: @residual
// CHECK-NEXT: %[[R:.*]] = qopt.fused (%[[X:.*]] = %arg0, %[[S:.*]] = %arg1, %[[A:.*]] = %arg2)
// CHECK-NEXT: %[[N:.*]] = qopt.rms_norm %[[X]], %[[S]]
// CHECK-NEXT: %[[Y:.*]] = arith.addf %[[A]], %[[N]]
// CHECK-NEXT: qopt.yield %[[Y]]
// CHECK: return %[[R]]
func.func @residual(%x: tensor<?x64xf16>, %scale: tensor<64xf32>, %residual: tensor<?x64xf16>) -> tensor<?x64xf16> {
  %n = qopt.rms_norm %x, %scale epsilon 1.0e-06 : tensor<?x64xf16>, tensor<64xf32> -> tensor<?x64xf16>
  %y = arith.addf %residual, %n : tensor<?x64xf16>
  return %y : tensor<?x64xf16>
}

// CHECK-LABEL: @left
// CHECK-NEXT: qopt.fused (
// CHECK-NEXT: qopt.layer_norm
// CHECK-NEXT: arith.addf
func.func @left(%x: tensor<?x64xf16>, %scale: tensor<64xf32>, %bias: tensor<64xf32>) -> tensor<?x64xf16> {
  %n = qopt.layer_norm %x, %scale bias(%bias : tensor<64xf32>) epsilon 1.0e-06 : tensor<?x64xf16>, tensor<64xf32> -> tensor<?x64xf16>
  %y = arith.addf %n, %x : tensor<?x64xf16>
  return %y : tensor<?x64xf16>
}

// A norm that something else reads, and a bias of another type than the scale.
// CHECK-LABEL: @apart
// CHECK-NOT: qopt.fused
func.func @apart(%x: tensor<?x64xf16>, %scale: tensor<64xf32>, %bias: tensor<64xf16>) -> (tensor<?x64xf16>, tensor<?x64xf16>, tensor<?x64xf16>) {
  %n = qopt.rms_norm %x, %scale epsilon 1.0e-06 : tensor<?x64xf16>, tensor<64xf32> -> tensor<?x64xf16>
  %y = arith.addf %x, %n : tensor<?x64xf16>
  %m = qopt.layer_norm %x, %scale bias(%bias : tensor<64xf16>) epsilon 1.0e-06 : tensor<?x64xf16>, tensor<64xf32> -> tensor<?x64xf16>
  %z = arith.addf %x, %m : tensor<?x64xf16>
  return %n, %y, %z : tensor<?x64xf16>, tensor<?x64xf16>, tensor<?x64xf16>
}
