// RUN: qopt-opt %s -split-input-file -verify-diagnostics
// Each constraint of qopt.route is checked and has a message.

// (C1)
func.func @unknown(%scores: tensor<4x?xf32>) {
  // expected-error @+1 {{scores have shape 4x?; expected a last dimension that is known, the number of experts}}
  %w = qopt.route 2 %scores : tensor<4x?xf32>
  return
}

// -----

// (C1)
func.func @none(%scores: tensor<?x8xf32>) {
  // expected-error @+1 {{a token takes 0 experts; expected 1 to 8}}
  %w = qopt.route 0 %scores : tensor<?x8xf32>
  return
}

// -----

// (C1)
func.func @too_many(%scores: tensor<?x8xf32>) {
  // expected-error @+1 {{a token takes 9 experts; expected 1 to 8}}
  %w = qopt.route 9 %scores : tensor<?x8xf32>
  return
}
