// RUN: qopt-opt %s -split-input-file -verify-diagnostics
// Each constraint of qopt.pack_weight is checked and has a message.

// (C1)
func.func @format(%w: !qopt.weight<8x64, int4_g32>) {
  // expected-error @+1 {{the result has type '!qopt.weight<8x64, int8, layout = host_tiled>'; expected '!qopt.weight<8x64, int4_g32>' in another layout}}
  %p = qopt.pack_weight %w : !qopt.weight<8x64, int4_g32> -> !qopt.weight<8x64, int8, layout = host_tiled>
  return
}

// -----

// (C2)
func.func @source(%w: !qopt.weight<8x64, int8, layout = host_tiled>) {
  // expected-error @+1 {{the source has layout host_tiled; expected canonical}}
  %p = qopt.pack_weight %w : !qopt.weight<8x64, int8, layout = host_tiled> -> !qopt.weight<8x64, int8>
  return
}
