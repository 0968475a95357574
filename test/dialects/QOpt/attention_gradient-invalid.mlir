// RUN: qopt-opt %s -split-input-file -verify-diagnostics
// Each constraint of qopt.attention_gradient is checked and has a message.

// (C1)
func.func @result(%q: tensor<1x?x8x64xf32>, %k: tensor<1x4x?x64xf32>, %y: tensor<1x?x8x32xf32>) {
  // expected-error @+1 {{y has shape 1x?x8x32; expected 1x?x8x64}}
  %dq, %dk, %dv = qopt.attention_gradient %q, %k, %k, %y, %y scale 0.125 : tensor<1x?x8x64xf32>, tensor<1x4x?x64xf32>, tensor<1x4x?x64xf32>, tensor<1x?x8x32xf32>
  return
}

// -----

// (C2)
func.func @heads(%q: tensor<1x?x8x64xf32>, %k: tensor<1x3x?x64xf32>) {
  // expected-error @+1 {{the 3 heads of k do not divide the 8 heads of q}}
  %dq, %dk, %dv = qopt.attention_gradient %q, %k, %k, %q, %q scale 0.125 : tensor<1x?x8x64xf32>, tensor<1x3x?x64xf32>, tensor<1x3x?x64xf32>, tensor<1x?x8x64xf32>
  return
}

// -----

// (C3)
func.func @mask(%q: tensor<1x?x8x64xf32>, %k: tensor<1x4x?x64xf32>, %m: tensor<1x2x?x?xf32>) {
  // expected-error @+1 {{the mask has shape 1x2x?x?, which does not broadcast to 1x8x?x?}}
  %dq, %dk, %dv = qopt.attention_gradient %q, %k, %k, %q, %q mask(%m : tensor<1x2x?x?xf32>) scale 0.125 : tensor<1x?x8x64xf32>, tensor<1x4x?x64xf32>, tensor<1x4x?x64xf32>, tensor<1x?x8x64xf32>
  return
}

// -----

// (C4)
func.func @window(%q: tensor<1x?x8x64xf32>, %k: tensor<1x4x?x64xf32>) {
  // expected-error @+1 {{a window is positive and of causal attention; got 64}}
  %dq, %dk, %dv = qopt.attention_gradient %q, %k, %k, %q, %q scale 0.125 window 64 : tensor<1x?x8x64xf32>, tensor<1x4x?x64xf32>, tensor<1x4x?x64xf32>, tensor<1x?x8x64xf32>
  return
}

// -----

// (C5)
func.func @distance(%q: tensor<1x?x8x64xf32>, %k: tensor<1x4x?x64xf32>) {
  // expected-error @+1 {{a distance is positive and of causal attention; got 32}}
  %dq, %dk, %dv = qopt.attention_gradient %q, %k, %k, %q, %q scale 0.125 distance 32 : tensor<1x?x8x64xf32>, tensor<1x4x?x64xf32>, tensor<1x4x?x64xf32>, tensor<1x?x8x64xf32>
  return
}
