// RUN: qopt-opt %s -split-input-file -verify-diagnostics
// Each constraint of qopt.kv_append is checked and has a message.

// (C1)
!cache = !qopt.kv_cache<layers = 2, kv_heads = 4, head_size = 64, key = f16, value = f16, page = 16>
func.func @layer(%cache: !cache, %k: tensor<?x4x64xf32>, %batch: !qopt.batch) {
  // expected-error @+1 {{layer 2 is not one of the cache's 2 layers}}
  %next = qopt.kv_append %cache, %k, %k, %batch layer 2 : !cache, tensor<?x4x64xf32>
  return
}

// -----

// (C2)
!cache = !qopt.kv_cache<layers = 2, kv_heads = 4, head_size = 64, key = f16, value = f16, page = 16>
func.func @heads(%cache: !cache, %k: tensor<?x8x64xf32>, %batch: !qopt.batch) {
  // expected-error @+1 {{k has shape ?x8x64; expected ?x4x64}}
  %next = qopt.kv_append %cache, %k, %k, %batch layer 0 : !cache, tensor<?x8x64xf32>
  return
}
