// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// A layer norm has a scale and may have a bias.

// CHECK-LABEL: @norm
func.func @norm(%x: tensor<?x64xf32>, %scale: tensor<64xf32>, %b: tensor<64xf32>) -> tensor<?x64xf32> {
  // CHECK: qopt.layer_norm %{{.*}}, %{{.*}} bias(%{{.*}} : tensor<64xf32>) epsilon {{.*}} : tensor<?x64xf32>, tensor<64xf32> -> tensor<?x64xf32>
  %y = qopt.layer_norm %x, %scale bias(%b : tensor<64xf32>) epsilon 1.0e-05 : tensor<?x64xf32>, tensor<64xf32> -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// CHECK-LABEL: @no_bias
func.func @no_bias(%x: tensor<2x?x64xf16>, %scale: tensor<64xf16>) -> tensor<2x?x64xf16> {
  // CHECK: qopt.layer_norm %{{.*}}, %{{.*}} epsilon {{.*}} : tensor<2x?x64xf16>
  %y = qopt.layer_norm %x, %scale epsilon 0.0 : tensor<2x?x64xf16>, tensor<64xf16> -> tensor<2x?x64xf16>
  return %y : tensor<2x?x64xf16>
}
