// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// Activations become codes with a scale for each group.

// CHECK-LABEL: @quantize
func.func @quantize(%x: tensor<?x64xf32>) -> !qopt.quantized<?x64, int8_g32_sf32> {
  // CHECK: qopt.quantize %{{.*}} : tensor<?x64xf32> -> !qopt.quantized<?x64, int8_g32_sf32>
  %q = qopt.quantize %x : tensor<?x64xf32> -> !qopt.quantized<?x64, int8_g32_sf32>
  return %q : !qopt.quantized<?x64, int8_g32_sf32>
}
