// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// Codes become the values that they stand for.

// CHECK-LABEL: @dequantize
func.func @dequantize(%q: !qopt.quantized<?x64, int8_g32_sf32>) -> tensor<?x64xf32> {
  // CHECK: qopt.dequantize %{{.*}} : !qopt.quantized<?x64, int8_g32_sf32> -> tensor<?x64xf32>
  %y = qopt.dequantize %q : !qopt.quantized<?x64, int8_g32_sf32> -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
