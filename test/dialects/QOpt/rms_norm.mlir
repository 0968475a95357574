// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// A root mean square norm writes a tensor or quantized activations.

// CHECK-LABEL: @norm
func.func @norm(%x: tensor<?x64xf32>, %scale: tensor<64xf32>) -> tensor<?x64xf32> {
  // CHECK: qopt.rms_norm %{{.*}}, %{{.*}} epsilon {{.*}} : tensor<?x64xf32>, tensor<64xf32> -> tensor<?x64xf32>
  %y = qopt.rms_norm %x, %scale epsilon 1.0e-05 : tensor<?x64xf32>, tensor<64xf32> -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// CHECK-LABEL: @quantized
func.func @quantized(%x: tensor<?x64xf32>, %scale: tensor<64xf32>) -> !qopt.quantized<?x64, int8_g32_sf32> {
  // CHECK: qopt.rms_norm {{.*}} -> !qopt.quantized<?x64, int8_g32_sf32>
  %y = qopt.rms_norm %x, %scale epsilon 1.0e-06 : tensor<?x64xf32>, tensor<64xf32> -> !qopt.quantized<?x64, int8_g32_sf32>
  return %y : !qopt.quantized<?x64, int8_g32_sf32>
}

// CHECK-LABEL: @heads
func.func @heads(%x: tensor<?x4x16xf16>, %scale: tensor<4x16xf32>) -> tensor<?x4x16xf16> {
  // CHECK: qopt.rms_norm %{{.*}}, %{{.*}} epsilon {{.*}} : tensor<?x4x16xf16>, tensor<4x16xf32> -> tensor<?x4x16xf16>
  %y = qopt.rms_norm %x, %scale epsilon 1.0e-05 : tensor<?x4x16xf16>, tensor<4x16xf32> -> tensor<?x4x16xf16>
  return %y : tensor<?x4x16xf16>
}
