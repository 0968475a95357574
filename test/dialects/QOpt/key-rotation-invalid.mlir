// RUN: qopt-opt %s -split-input-file -verify-diagnostics
// What `qopt.key_rotation` cannot be.

!cache = !qopt.kv_cache<layers = 1, kv_heads = 2, head_size = 8, key = f16, value = f16, page = 16>

func.func @scale(%q: tensor<?x2x8xf32>, %batch: !qopt.batch, %cache: !cache) -> tensor<?x2x8xf32> {
  // expected-error @+1 {{expected {frequencies = array<f32: …>, scale = 1.0 : f32}}}
  %y = qopt.cached_attention %q, %cache, %batch layer 0 scale 0.125 {qopt.key_rotation = {frequencies = array<f32: 1.0>}} : tensor<?x2x8xf32>, !cache
  return %y : tensor<?x2x8xf32>
}

// -----

!cache = !qopt.kv_cache<layers = 1, kv_heads = 2, head_size = 8, key = f16, value = f16, page = 16>

func.func @many(%q: tensor<?x2x8xf32>, %batch: !qopt.batch, %cache: !cache) -> tensor<?x2x8xf32> {
  // expected-error @+1 {{keys of 8 channels have 5 frequencies; expected 1 to 4}}
  %y = qopt.cached_attention %q, %cache, %batch layer 0 scale 0.125 {qopt.key_rotation = {frequencies = array<f32: 1.0, 1.0, 1.0, 1.0, 1.0>, scale = 1.0 : f32}} : tensor<?x2x8xf32>, !cache
  return %y : tensor<?x2x8xf32>
}

// -----

// expected-error @+1 {{"qopt.key_rotation" is of a cached_attention alone}}
func.func @other() attributes {qopt.key_rotation = {}} {
  return
}
