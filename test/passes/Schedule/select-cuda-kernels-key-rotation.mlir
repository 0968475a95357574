// RUN: qopt-opt %s -pass-pipeline='builtin.module(func.func(qopt-select-cuda-kernels{arch=sm_90a}))' -verify-diagnostics
// Keys that are stored ahead of their rotation are the host's alone.

!cache = !qopt.kv_cache<layers = 1, kv_heads = 2, head_size = 64, key = f16, value = f16, page = 16>

func.func @step(%q: tensor<?x2x64xf16>, %batch: !qopt.batch, %cache: !cache) -> tensor<?x2x64xf16> attributes {qopt.context = 64 : i64} {
  // expected-error @+1 {{no kernel of a GPU rotates keys that are stored ahead of their rotation}}
  %y = qopt.cached_attention %q, %cache, %batch layer 0 scale 0.125 {qopt.key_rotation = {frequencies = array<f32: 1.0>, scale = 1.0 : f32}} : tensor<?x2x64xf16>, !cache
  return %y : tensor<?x2x64xf16>
}
