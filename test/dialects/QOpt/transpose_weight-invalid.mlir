// RUN: qopt-opt %s -split-input-file -verify-diagnostics
// Each constraint of qopt.transpose_weight is checked and has a message.

// (C1)
func.func @shape(%w: !qopt.weight<8x64, f16>) {
  // expected-error @+1 {{the result has type '!qopt.weight<8x64, f16>'; expected rows and columns of '!qopt.weight<8x64, f16>' exchanged, both in the canonical layout}}
  %t = qopt.transpose_weight %w : !qopt.weight<8x64, f16> -> !qopt.weight<8x64, f16>
  return
}

// -----

// (C2)
func.func @format(%w: !qopt.weight<8x64, int4_g32>) {
  // expected-error @+1 {{the result has format "f16"; expected "f32"}}
  %t = qopt.transpose_weight %w : !qopt.weight<8x64, int4_g32> -> !qopt.weight<64x8, f16>
  return
}
