// RUN: qopt-opt %s -split-input-file -verify-diagnostics
// Each constraint of qopt.linear is checked and has a message.

// (C1)
func.func @columns(%x: tensor<?x64xf32>, %w: !qopt.weight<128x32, f32>) {
  // expected-error @+1 {{x has shape ?x64; expected a last dimension of 32, the columns of the weight}}
  %y = qopt.linear %x, %w : tensor<?x64xf32>, !qopt.weight<128x32, f32> -> tensor<?x128xf32>
  return
}

// -----

// (C2)
func.func @result(%x: tensor<?x64xf32>, %w: !qopt.weight<128x64, f32>) {
  // expected-error @+1 {{the result has shape ?x64; expected ?x128}}
  %y = qopt.linear %x, %w : tensor<?x64xf32>, !qopt.weight<128x64, f32> -> tensor<?x64xf32>
  return
}

// -----

// (C3)
func.func @bias(%x: tensor<?x64xf32>, %w: !qopt.weight<128x64, f32>, %b: tensor<64xf32>) {
  // expected-error @+1 {{the bias has shape 64; expected 128}}
  %y = qopt.linear %x, %w bias(%b : tensor<64xf32>) : tensor<?x64xf32>, !qopt.weight<128x64, f32> -> tensor<?x128xf32>
  return
}

// -----

// (C4)
func.func @residual(%x: tensor<?x64xf32>, %w: !qopt.weight<128x64, f32>, %r: tensor<128xf32>) {
  // expected-error @+1 {{the residual has type 'tensor<128xf32>'; expected that of the result, 'tensor<?x128xf32>'}}
  %y = qopt.linear %x, %w residual(%r : tensor<128xf32>) : tensor<?x64xf32>, !qopt.weight<128x64, f32> -> tensor<?x128xf32>
  return
}

// -----

// (C5)
func.func @share_shape(%x: tensor<?x64xf32>, %w: !qopt.weight<128x64, f32>, %s: tensor<?x2xf32>) {
  // expected-error @+1 {{the share has shape ?x2; expected ?x1}}
  %y = qopt.linear %x, %w share(%s : tensor<?x2xf32>) : tensor<?x64xf32>, !qopt.weight<128x64, f32> -> tensor<?x128xf32>
  return
}

// -----

// (C5)
func.func @share_type(%x: tensor<?x64xf32>, %w: !qopt.weight<128x64, f32>, %s: tensor<?x1xf16>) {
  // expected-error @+1 {{the share has type 'tensor<?x1xf16>'; expected elements of f32}}
  %y = qopt.linear %x, %w share(%s : tensor<?x1xf16>) : tensor<?x64xf32>, !qopt.weight<128x64, f32> -> tensor<?x128xf32>
  return
}

// -----

// (C5)
func.func @share_and_residual(%x: tensor<?x64xf32>, %w: !qopt.weight<128x64, f32>, %r: tensor<?x128xf32>, %s: tensor<?x1xf32>) {
  // expected-error @+1 {{it has a share and a residual; expected one of them}}
  %y = qopt.linear %x, %w residual(%r : tensor<?x128xf32>) share(%s : tensor<?x1xf32>) : tensor<?x64xf32>, !qopt.weight<128x64, f32> -> tensor<?x128xf32>
  return
}
