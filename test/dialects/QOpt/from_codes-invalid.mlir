// RUN: qopt-opt %s -split-input-file -verify-diagnostics
// Each constraint of qopt.from_codes is checked and has a message.

// (C1)
func.func @shape(%codes: tensor<?x64xui8>, %s: tensor<f32>, %z: tensor<ui8>) {
  // expected-error @+1 {{the result has shape ?x32; expected ?x64}}
  %q = qopt.from_codes %codes scale %s zero %z : tensor<?x64xui8>, tensor<f32>, tensor<ui8> -> !qopt.quantized<?x32, int8_asym>
  return
}

// -----

// (C2)
func.func @format(%codes: tensor<?x64xui8>, %s: tensor<f32>, %z: tensor<ui8>) {
  // expected-error @+1 {{expected the format "int8_asym"}}
  %q = qopt.from_codes %codes scale %s zero %z : tensor<?x64xui8>, tensor<f32>, tensor<ui8> -> !qopt.quantized<?x64, int8>
  return
}

// -----

// (C3)
func.func @zero(%codes: tensor<?x64xui8>, %s: tensor<f32>, %z: tensor<i8>) {
  // expected-error @+1 {{scale and zero point have types 'tensor<f32>' and 'tensor<i8>'; expected one element each, the zero point's of 'ui8'}}
  %q = qopt.from_codes %codes scale %s zero %z : tensor<?x64xui8>, tensor<f32>, tensor<i8> -> !qopt.quantized<?x64, int8_asym>
  return
}

// -----

// (C3)
func.func @scales(%codes: tensor<?x64xui8>, %s: tensor<64xf32>, %z: tensor<ui8>) {
  // expected-error @+1 {{expected one element each}}
  %q = qopt.from_codes %codes scale %s zero %z : tensor<?x64xui8>, tensor<64xf32>, tensor<ui8> -> !qopt.quantized<?x64, int8_asym>
  return
}
