// RUN: qopt-opt %s -split-input-file -verify-diagnostics
// Each constraint of qopt.attention is checked and has a message.

// (C1)
func.func @rank(%q: tensor<?x512xf32>, %k: tensor<?x4x?x64xf32>) {
  // expected-error @+1 {{q has 2 dimensions; expected four}}
  %y = qopt.attention %q, %k, %k scale 0.125 : tensor<?x512xf32>, tensor<?x4x?x64xf32>, tensor<?x4x?x64xf32> -> tensor<?x512xf32>
  return
}

// -----

// (C1)
func.func @order(%q: tensor<?x?x8x64xf32>, %k: tensor<?x8x32x64xf32>, %v: tensor<?x4x?x64xf32>) {
  // expected-error @+1 {{v has shape ?x4x?x64; expected ?x8x32x64}}
  %y = qopt.attention %q, %k, %v scale 0.125 : tensor<?x?x8x64xf32>, tensor<?x8x32x64xf32>, tensor<?x4x?x64xf32> -> tensor<?x?x8x64xf32>
  return
}

// -----

// (C2)
func.func @heads(%q: tensor<?x?x8x64xf32>, %k: tensor<?x3x?x64xf32>) {
  // expected-error @+1 {{the 3 heads of k do not divide the 8 heads of q}}
  %y = qopt.attention %q, %k, %k scale 0.125 : tensor<?x?x8x64xf32>, tensor<?x3x?x64xf32>, tensor<?x3x?x64xf32> -> tensor<?x?x8x64xf32>
  return
}

// -----

// (C3)
func.func @mask(%q: tensor<?x?x8x64xf32>, %k: tensor<?x4x?x64xf32>, %m: tensor<?x2x?x?xi1>) {
  // expected-error @+1 {{the mask has shape ?x2x?x?, which does not broadcast to ?x8x?x?}}
  %y = qopt.attention %q, %k, %k mask(%m : tensor<?x2x?x?xi1>) scale 0.125 : tensor<?x?x8x64xf32>, tensor<?x4x?x64xf32>, tensor<?x4x?x64xf32> -> tensor<?x?x8x64xf32>
  return
}

// -----

// (C4)
func.func @window(%q: tensor<?x?x8x64xf32>, %k: tensor<?x4x?x64xf32>) {
  // expected-error @+1 {{a window is positive and of causal attention; got 64}}
  %y = qopt.attention %q, %k, %k scale 0.125 window 64 : tensor<?x?x8x64xf32>, tensor<?x4x?x64xf32>, tensor<?x4x?x64xf32> -> tensor<?x?x8x64xf32>
  return
}

// -----

// (C4)
func.func @softcap(%q: tensor<?x?x8x64xf32>, %k: tensor<?x4x?x64xf32>) {
  // expected-error @+1 {{a softcap is positive; got 0}}
  %y = qopt.attention %q, %k, %k scale 0.125 softcap 0.0 : tensor<?x?x8x64xf32>, tensor<?x4x?x64xf32>, tensor<?x4x?x64xf32> -> tensor<?x?x8x64xf32>
  return
}
