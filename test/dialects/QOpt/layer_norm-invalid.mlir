// RUN: qopt-opt %s -split-input-file -verify-diagnostics
// Each constraint of qopt.layer_norm is checked and has a message.

// (C1)
func.func @bias(%x: tensor<?x64xf32>, %scale: tensor<64xf32>, %b: tensor<32xf32>) {
  // expected-error @+1 {{the bias has shape 32; expected 64}}
  %y = qopt.layer_norm %x, %scale bias(%b : tensor<32xf32>) epsilon 1.0e-05 : tensor<?x64xf32>, tensor<64xf32> -> tensor<?x64xf32>
  return
}

// -----

// (C2)
func.func @result(%x: tensor<?x64xf32>, %scale: tensor<64xf32>) {
  // expected-error @+1 {{the result has shape ?x?x64; expected ?x64}}
  %y = qopt.layer_norm %x, %scale epsilon 1.0e-05 : tensor<?x64xf32>, tensor<64xf32> -> tensor<?x?x64xf32>
  return
}

// -----

// (C3)
func.func @epsilon(%x: tensor<?x64xf32>, %scale: tensor<64xf32>) {
  // expected-error @+1 {{epsilon is a finite number that is not negative}}
  %y = qopt.layer_norm %x, %scale epsilon -1.0 : tensor<?x64xf32>, tensor<64xf32> -> tensor<?x64xf32>
  return
}

// -----

// (C1)
func.func @bias_of_all_heads(%x: tensor<?x4x16xf32>, %scale: tensor<4x16xf32>, %b: tensor<16xf32>) {
  // expected-error @+1 {{the bias has shape 16; expected 4x16}}
  %y = qopt.layer_norm %x, %scale bias(%b : tensor<16xf32>) epsilon 1.0e-05 : tensor<?x4x16xf32>, tensor<4x16xf32> -> tensor<?x4x16xf32>
  return
}
