// RUN: qopt-opt %s -split-input-file -verify-diagnostics
// Each constraint of qopt.cached_attention is checked and has a message.

// (C1)
!cache = !qopt.kv_cache<layers = 2, kv_heads = 4, head_size = 64, key = f16, value = f16, page = 16>
func.func @layer(%q: tensor<?x8x64xf32>, %cache: !cache, %batch: !qopt.batch) {
  // expected-error @+1 {{layer 2 is not one of the cache's 2 layers}}
  %y = qopt.cached_attention %q, %cache, %batch layer 2 scale 0.125 : tensor<?x8x64xf32>, !cache
  return
}

// -----

// (C2)
!cache = !qopt.kv_cache<layers = 2, kv_heads = 4, head_size = 64, key = f16, value = f16, page = 16>
func.func @heads(%q: tensor<?x6x64xf32>, %cache: !cache, %batch: !qopt.batch) {
  // expected-error @+1 {{q has shape ?x6x64; expected [tokens, a multiple of 4 heads, 64]}}
  %y = qopt.cached_attention %q, %cache, %batch layer 0 scale 0.125 : tensor<?x6x64xf32>, !cache
  return
}

// -----

// (C3)
!cache = !qopt.kv_cache<layers = 2, kv_heads = 4, head_size = 64, key = f16, value = f16, page = 16>
func.func @window(%q: tensor<?x8x64xf32>, %cache: !cache, %batch: !qopt.batch) {
  // expected-error @+1 {{a window is positive; got 0}}
  %y = qopt.cached_attention %q, %cache, %batch layer 0 scale 0.125 window 0 : tensor<?x8x64xf32>, !cache
  return
}

// -----

// (C4)
!cache = !qopt.kv_cache<layers = 2, kv_heads = 4, head_size = 64, key = f16, value = f16, page = 16>
func.func @slopes(%q: tensor<?x8x64xf32>, %cache: !cache, %batch: !qopt.batch) {
  // expected-error @+1 {{there are 2 slopes; expected one for each of the 8 heads}}
  %y = qopt.cached_attention %q, %cache, %batch layer 0 scale 0.125 alibi [0.5, 0.25] : tensor<?x8x64xf32>, !cache
  return
}

// -----

// (C5)
!cache = !qopt.kv_cache<layers = 2, kv_heads = 4, head_size = 64, key = f16, value = f16, page = 16>
func.func @biases(%q: tensor<?x8x64xf32>, %cache: !cache, %batch: !qopt.batch) {
  // expected-error @+1 {{there are 12 biases; expected a positive multiple of the 8 heads}}
  %y = qopt.cached_attention %q, %cache, %batch layer 0 scale 0.125 biases [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0] : tensor<?x8x64xf32>, !cache
  return
}

// -----

// (C6)
!cache = !qopt.kv_cache<layers = 2, kv_heads = 4, head_size = 64, key = f16, value = f16, page = 16>
func.func @source(%q: tensor<?x8x64xf32>, %cache: !cache, %batch: !qopt.batch) {
  // expected-error @+1 {{positions of a source have no distance from a token; expected neither a window nor slopes nor biases}}
  %y = qopt.cached_attention %q, %cache, %batch layer 0 source scale 0.125 window 8 : tensor<?x8x64xf32>, !cache
  return
}
