// RUN: qopt-opt %s -split-input-file -pass-pipeline='builtin.module(func.func(qopt-select-cuda-kernels{arch=sm_90a}))' -verify-diagnostics
// What attention on the host alone can: keys that are stored ahead of their rotation, biases by distance, sources.

!cache = !qopt.kv_cache<layers = 1, kv_heads = 2, head_size = 64, key = f16, value = f16, page = 16>

func.func @step(%q: tensor<?x2x64xf16>, %batch: !qopt.batch, %cache: !cache) -> tensor<?x2x64xf16> attributes {qopt.context = 64 : i64} {
  // expected-error @+1 {{no kernel of a GPU rotates keys that are stored ahead of their rotation}}
  %y = qopt.cached_attention %q, %cache, %batch layer 0 scale 0.125 {qopt.key_rotation = {frequencies = array<f32: 1.0>, scale = 1.0 : f32}} : tensor<?x2x64xf16>, !cache
  return %y : tensor<?x2x64xf16>
}

// -----

!cache = !qopt.kv_cache<layers = 1, kv_heads = 2, head_size = 64, key = f16, value = f16, page = 16>

func.func @biases(%q: tensor<?x2x64xf16>, %batch: !qopt.batch, %cache: !cache) -> tensor<?x2x64xf16> attributes {qopt.context = 64 : i64} {
  // expected-error @+1 {{no kernel of a GPU adds biases by distance; compile for the host}}
  %y = qopt.cached_attention %q, %cache, %batch layer 0 scale 0.125 biases [0.5, 0.25, 1.0, 2.0] : tensor<?x2x64xf16>, !cache
  return %y : tensor<?x2x64xf16>
}

// -----

!cache = !qopt.kv_cache<layers = 1, kv_heads = 2, head_size = 64, key = f16, value = f16, page = 16>

func.func @source(%q: tensor<?x2x64xf16>, %batch: !qopt.batch, %cache: !cache) -> tensor<?x2x64xf16> attributes {qopt.context = 64 : i64} {
  // expected-error @+1 {{no kernel of a GPU attends across sequences; compile for the host}}
  %y = qopt.cached_attention %q, %cache, %batch layer 0 source scale 0.125 : tensor<?x2x64xf16>, !cache
  return %y : tensor<?x2x64xf16>
}
