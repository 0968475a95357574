// RUN: qopt-opt %s -split-input-file -verify-diagnostics
// Each constraint of qopt.embedding is checked and has a message.

// (C1)
func.func @result(%ids: tensor<?x?xi64>, %w: !qopt.weight<512x64, f16>) {
  // expected-error @+1 {{the result has shape ?x64; expected ?x?x64}}
  %h = qopt.embedding %ids, %w : tensor<?x?xi64>, !qopt.weight<512x64, f16> -> tensor<?x64xf32>
  return
}

// -----

// (C2)
func.func @formats(%ids: tensor<?xi32>, %w: !qopt.weight<8x64, [4: int8, 4: int4]>) {
  // expected-error @+1 {{the weight has the formats [4: int8, 4: int4]; expected one for all rows}}
  %h = qopt.embedding %ids, %w : tensor<?xi32>, !qopt.weight<8x64, [4: int8, 4: int4]> -> tensor<?x64xf32>
  return
}
