// RUN: qopt-opt %s -split-input-file -verify-diagnostics
// Each constraint of qopt.rotary is checked and has a message.

// (C1)
func.func @rank(%x: tensor<8xf32>, %cos: tensor<4xf32>) {
  // expected-error @+1 {{x has shape 8; expected dimensions for heads and channels, the last one static}}
  %y = qopt.rotary %x, %cos, %cos : tensor<8xf32>, tensor<4xf32>
  return
}

// -----

// (C2)
func.func @too_wide(%x: tensor<?x8x8xf32>, %cos: tensor<?x8xf32>) {
  // expected-error @+1 {{cos has shape ?x8; expected a last dimension of at most 4, half of the channels of x}}
  %y = qopt.rotary %x, %cos, %cos : tensor<?x8x8xf32>, tensor<?x8xf32>
  return
}

// -----

// (C3)
func.func @tokens(%x: tensor<2x3x8x8xf32>, %cos: tensor<2x1x4xf32>) {
  // expected-error @+1 {{cos has shape 2x1x4, which does not fit x of shape 2x3x8x8; expected its dimensions before heads, leading ones 1 or absent}}
  %y = qopt.rotary %x, %cos, %cos : tensor<2x3x8x8xf32>, tensor<2x1x4xf32>
  return
}
