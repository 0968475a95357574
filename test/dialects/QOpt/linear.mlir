// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// A linear map takes tensors or quantized activations, and adds a bias and a residual, or computes some rows alone.

// CHECK-LABEL: @linear
func.func @linear(%x: tensor<?x64xf32>, %w: !qopt.weight<128x64, int4_g32>, %b: tensor<128xf32>, %r: tensor<?x128xf32>) -> tensor<?x128xf32> {
  // CHECK: qopt.linear {{.*}} bias(%{{.*}} : tensor<128xf32>) residual(%{{.*}} : tensor<?x128xf32>) : tensor<?x64xf32>, !qopt.weight<128x64, int4_g32> -> tensor<?x128xf32>
  %y = qopt.linear %x, %w bias(%b : tensor<128xf32>) residual(%r : tensor<?x128xf32>) : tensor<?x64xf32>, !qopt.weight<128x64, int4_g32> -> tensor<?x128xf32>
  return %y : tensor<?x128xf32>
}

// CHECK-LABEL: @quantized
func.func @quantized(%x: !qopt.quantized<2x?x64, int8_g32_sf32>, %w: !qopt.weight<128x64, int8>) -> tensor<2x?x128xf32> {
  // CHECK: qopt.linear {{.*}} : !qopt.quantized<2x?x64, int8_g32_sf32>, !qopt.weight<128x64, int8> -> tensor<2x?x128xf32>
  %y = qopt.linear %x, %w : !qopt.quantized<2x?x64, int8_g32_sf32>, !qopt.weight<128x64, int8> -> tensor<2x?x128xf32>
  return %y : tensor<2x?x128xf32>
}

// CHECK-LABEL: @routed
func.func @routed(%x: tensor<?x64xf32>, %w: !qopt.weight<128x64, int8>, %b: tensor<128xf32>, %s: tensor<?x1xf32>) -> tensor<?x128xf32> {
  // CHECK: qopt.linear {{.*}} bias(%{{.*}} : tensor<128xf32>) share(%{{.*}} : tensor<?x1xf32>) {taken = 2.500000e-01 : f64} : tensor<?x64xf32>, !qopt.weight<128x64, int8> -> tensor<?x128xf32>
  %y = qopt.linear %x, %w bias(%b : tensor<128xf32>) share(%s : tensor<?x1xf32>) {taken = 0.25 : f64} : tensor<?x64xf32>, !qopt.weight<128x64, int8> -> tensor<?x128xf32>
  return %y : tensor<?x128xf32>
}
