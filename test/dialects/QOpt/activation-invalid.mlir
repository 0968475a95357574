// RUN: qopt-opt %s -split-input-file -verify-diagnostics
// Each constraint of qopt.activation is checked and has a message.

// (C1)
func.func @shape(%x: tensor<?x128xf32>) {
  // expected-error @+1 {{the result has shape ?x64; expected ?x128}}
  %y = qopt.activation silu %x : tensor<?x128xf32> -> tensor<?x64xf32>
  return
}

// -----

// (C1)
func.func @element(%x: tensor<?x128xf32>) {
  // expected-error @+1 {{the result has element type 'f16'; expected 'f32'}}
  %y = qopt.activation silu %x : tensor<?x128xf32> -> tensor<?x128xf16>
  return
}
