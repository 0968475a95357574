// RUN: qopt-opt %s -split-input-file -verify-diagnostics
// Each constraint of qopt.gated_activation is checked and has a message.

// (C1)
func.func @odd(%both: tensor<?x3xf32>) {
  // expected-error @+1 {{without up the gate has an even last dimension, for both halves; got shape ?x3}}
  %y = qopt.gated_activation silu %both : tensor<?x3xf32> -> tensor<?x1xf32>
  return
}

// -----

// (C1)
func.func @types(%gate: tensor<?x4xf32>, %up: tensor<2x4xf32>) {
  // expected-error @+1 {{up has type 'tensor<2x4xf32>'; expected that of the gate, 'tensor<?x4xf32>'}}
  %y = "qopt.gated_activation"(%gate, %up) {function = #qopt<function silu>} : (tensor<?x4xf32>, tensor<2x4xf32>) -> tensor<?x4xf32>
  return
}

// -----

// (C2)
func.func @result(%both: tensor<?x8xf32>) {
  // expected-error @+1 {{the result has shape ?x8; expected ?x4}}
  %y = qopt.gated_activation silu %both : tensor<?x8xf32> -> tensor<?x8xf32>
  return
}
