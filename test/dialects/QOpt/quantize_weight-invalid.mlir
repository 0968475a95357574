// RUN: qopt-opt %s -split-input-file -verify-diagnostics
// Each constraint of qopt.quantize_weight is checked and has a message.

// (C1)
func.func @shape(%w: !qopt.weight<8x64, f16>) {
  // expected-error @+1 {{the result has type '!qopt.weight<4x64, int8>'; expected the dimensions of '!qopt.weight<8x64, f16>', both in the canonical layout}}
  %q = qopt.quantize_weight %w rtn : !qopt.weight<8x64, f16> -> !qopt.weight<4x64, int8>
  return
}

// -----

// (C2)
func.func @source(%w: !qopt.weight<8x64, int8>) {
  // expected-error @+1 {{the source has format "int8"; expected one without scales}}
  %q = qopt.quantize_weight %w rtn : !qopt.weight<8x64, int8> -> !qopt.weight<8x64, int4>
  return
}

// -----

// (C3)
func.func @group(%w: !qopt.weight<8x48, f16>) {
  // expected-error @+1 {{the group size 32 of "int4_g32" does not divide the 48 columns}}
  %q = qopt.quantize_weight %w rtn : !qopt.weight<8x48, f16> -> !qopt.weight<8x48, int4_g32>
  return
}

// -----

// (C4)
func.func @formats(%w: !qopt.weight<8x64, f16>) {
  // expected-error @+1 {{the result has the formats [4: int8, 4: int4]; expected one for all rows}}
  %q = qopt.quantize_weight %w rtn : !qopt.weight<8x64, f16> -> !qopt.weight<8x64, [4: int8, 4: int4]>
  return
}
