// RUN: qopt-opt %s -split-input-file -verify-diagnostics
// Each constraint of qopt.rotary_table is checked and has a message.

// (C1)
func.func @shape(%positions: tensor<?xi32>, %freq: tensor<4xf32>) {
  // expected-error @+1 {{the table of cosines has shape ?x8; expected ?x4}}
  %cos, %sin = qopt.rotary_table %positions, %freq scale 1.0 : tensor<?xi32>, tensor<4xf32> -> tensor<?x8xf32>
  return
}
