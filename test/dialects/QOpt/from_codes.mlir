// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// Codes that a model computes become activations, with their scale and zero point.

// CHECK-LABEL: @unsigned
func.func @unsigned(%codes: tensor<?x64xui8>, %s: tensor<f32>, %z: tensor<ui8>) -> !qopt.quantized<?x64, int8_asym> {
  // CHECK: qopt.from_codes %arg0 scale %arg1 zero %arg2 : tensor<?x64xui8>, tensor<f32>, tensor<ui8> -> !qopt.quantized<?x64, int8_asym>
  %q = qopt.from_codes %codes scale %s zero %z : tensor<?x64xui8>, tensor<f32>, tensor<ui8> -> !qopt.quantized<?x64, int8_asym>
  return %q : !qopt.quantized<?x64, int8_asym>
}

// CHECK-LABEL: @signed
func.func @signed(%codes: tensor<2x?x64xi8>, %s: tensor<1xf32>, %z: tensor<1xi8>) -> !qopt.quantized<2x?x64, int8_asym> {
  // CHECK: qopt.from_codes %arg0 scale %arg1 zero %arg2
  %q = qopt.from_codes %codes scale %s zero %z : tensor<2x?x64xi8>, tensor<1xf32>, tensor<1xi8> -> !qopt.quantized<2x?x64, int8_asym>
  return %q : !qopt.quantized<2x?x64, int8_asym>
}
