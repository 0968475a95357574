// RUN: qopt-opt %s -split-input-file -verify-diagnostics
// Each constraint of qopt.quantize is checked and has a message.

// (C1)
func.func @shape(%x: tensor<?x64xf32>) {
  // expected-error @+1 {{the result has shape ?x32; expected ?x64}}
  %q = qopt.quantize %x : tensor<?x64xf32> -> !qopt.quantized<?x32, int8_g32_sf32>
  return
}

// -----

// (C2)
func.func @group(%x: tensor<?x48xf32>) {
  // expected-error @+1 {{the group size 32 of "int8_g32_sf32" does not divide the 48 columns}}
  %q = qopt.quantize %x : tensor<?x48xf32> -> !qopt.quantized<?x48, int8_g32_sf32>
  return
}

// -----

// (C3)
func.func @zero_points(%x: tensor<?x64xf32>) {
  // expected-error @+1 {{expected no zero points, which codes of a model alone have}}
  %q = qopt.quantize %x : tensor<?x64xf32> -> !qopt.quantized<?x64, int8_asym>
  return
}
