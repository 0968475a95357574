// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// A gate and what it lets through are two tensors, or the halves of one.

// CHECK-LABEL: @two
func.func @two(%gate: tensor<?x128xf32>, %up: tensor<?x128xf32>) -> tensor<?x128xf32> {
  // CHECK: qopt.gated_activation silu %{{.*}}, %{{.*}} : tensor<?x128xf32> -> tensor<?x128xf32>
  %y = qopt.gated_activation silu %gate, %up : tensor<?x128xf32> -> tensor<?x128xf32>
  return %y : tensor<?x128xf32>
}

// CHECK-LABEL: @halves
func.func @halves(%both: tensor<?x256xf32>) -> !qopt.quantized<?x128, int8_g32_sf32> {
  // CHECK: qopt.gated_activation gelu_erf %{{.*}} : tensor<?x256xf32> -> !qopt.quantized<?x128, int8_g32_sf32>
  %y = qopt.gated_activation gelu_erf %both : tensor<?x256xf32> -> !qopt.quantized<?x128, int8_g32_sf32>
  return %y : !qopt.quantized<?x128, int8_g32_sf32>
}
