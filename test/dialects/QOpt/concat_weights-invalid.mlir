// RUN: qopt-opt %s -split-input-file -verify-diagnostics
// Each constraint of qopt.concat_weights is checked and has a message.

// (C1)
func.func @none() {
  // expected-error @+1 {{has no sources; expected at least one}}
  %c = "qopt.concat_weights"() : () -> !qopt.weight<8x64, int8>
  return
}

// -----

// (C2)
func.func @columns(%a: !qopt.weight<8x64, int8>, %b: !qopt.weight<8x32, int8>) {
  // expected-error @+1 {{a source has type '!qopt.weight<8x32, int8>' and the result '!qopt.weight<16x64, int8>'; expected the same columns, both in the canonical layout}}
  %c = qopt.concat_weights %a, %b : !qopt.weight<8x64, int8>, !qopt.weight<8x32, int8> -> !qopt.weight<16x64, int8>
  return
}

// -----

// (C3)
func.func @tensor_scale(%a: !qopt.weight<8x64, int8_tensor>) {
  // expected-error @+1 {{format "int8_tensor" has one scale for all rows, which the sources do not share}}
  %c = qopt.concat_weights %a, %a : !qopt.weight<8x64, int8_tensor>, !qopt.weight<8x64, int8_tensor> -> !qopt.weight<16x64, int8_tensor>
  return
}

// -----

// (C4)
func.func @rows(%a: !qopt.weight<8x64, int8>) {
  // expected-error @+1 {{the result has 8 rows; expected 16, the sum of the sources'}}
  %c = qopt.concat_weights %a, %a : !qopt.weight<8x64, int8>, !qopt.weight<8x64, int8> -> !qopt.weight<8x64, int8>
  return
}

// -----

// (C5)
func.func @formats(%a: !qopt.weight<8x64, int8>, %b: !qopt.weight<8x64, f16>) {
  // expected-error @+1 {{the result has the formats int8; expected [8: int8, 8: f16], the sources'}}
  %c = qopt.concat_weights %a, %b : !qopt.weight<8x64, int8>, !qopt.weight<8x64, f16> -> !qopt.weight<16x64, int8>
  return
}
