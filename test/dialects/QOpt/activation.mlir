// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// An activation applies one function to every element.

// CHECK-LABEL: @gelu
func.func @gelu(%x: tensor<?x128xf32>) -> tensor<?x128xf32> {
  // CHECK: qopt.activation gelu_tanh %{{.*}} : tensor<?x128xf32> -> tensor<?x128xf32>
  %y = qopt.activation gelu_tanh %x : tensor<?x128xf32> -> tensor<?x128xf32>
  return %y : tensor<?x128xf32>
}

// CHECK-LABEL: @quantized
func.func @quantized(%x: tensor<?x128xf32>) -> !qopt.quantized<?x128, int8_g32_sf32> {
  // CHECK: qopt.activation relu %{{.*}} : tensor<?x128xf32> -> !qopt.quantized<?x128, int8_g32_sf32>
  %y = qopt.activation relu %x : tensor<?x128xf32> -> !qopt.quantized<?x128, int8_g32_sf32>
  return %y : !qopt.quantized<?x128, int8_g32_sf32>
}
