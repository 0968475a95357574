// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// The tokens of a ragged batch attend to their sequences in the cache.

// CHECK-LABEL: @windowed
func.func @windowed(%q: tensor<?x8x64xf32>, %cache: !qopt.kv_cache<layers = 2, kv_heads = 4, head_size = 64, key = f16, value = f16, page = 16>, %batch: !qopt.batch) {
  // CHECK: qopt.cached_attention %{{.*}} layer 0 scale {{.*}} window 64 : tensor<?x8x64xf32>, !qopt.kv_cache
  %y = qopt.cached_attention %q, %cache, %batch layer 0 scale 0.125 window 64 : tensor<?x8x64xf32>, !qopt.kv_cache<layers = 2, kv_heads = 4, head_size = 64, key = f16, value = f16, page = 16>
  return
}

// CHECK-LABEL: @alibi
func.func @alibi(%q: tensor<?x4x64xf32>, %cache: !qopt.kv_cache<layers = 2, kv_heads = 4, head_size = 64, key = f16, value = f16, page = 16>, %batch: !qopt.batch) {
  // CHECK: qopt.cached_attention {{.*}} layer 1 scale {{.*}} softcap {{.*}} alibi [{{.*}}] : tensor<?x4x64xf32>
  %y = qopt.cached_attention %q, %cache, %batch layer 1 scale 0.125 softcap 30.0 alibi [0.5, 0.25, 0.125, 0.0625] : tensor<?x4x64xf32>, !qopt.kv_cache<layers = 2, kv_heads = 4, head_size = 64, key = f16, value = f16, page = 16>
  return
}

// CHECK-LABEL: @biases
func.func @biases(%q: tensor<?x4x64xf32>, %cache: !qopt.kv_cache<layers = 2, kv_heads = 4, head_size = 64, key = f16, value = f16, page = 16>, %batch: !qopt.batch) {
  // CHECK: qopt.cached_attention {{.*}} layer 1 scale {{.*}} biases [{{.*}}] : tensor<?x4x64xf32>
  %y = qopt.cached_attention %q, %cache, %batch layer 1 scale 0.125 biases [0.5, 0.25, 0.5, 0.25, 0.5, 0.25, 0.5, 0.25] : tensor<?x4x64xf32>, !qopt.kv_cache<layers = 2, kv_heads = 4, head_size = 64, key = f16, value = f16, page = 16>
  return
}

// CHECK-LABEL: @acrossSequences
func.func @acrossSequences(%q: tensor<?x4x64xf32>, %cache: !qopt.kv_cache<layers = 2, kv_heads = 4, head_size = 64, key = f16, value = f16, page = 16>, %batch: !qopt.batch) {
  // CHECK: qopt.cached_attention {{.*}} layer 1 source scale {{.*}} : tensor<?x4x64xf32>
  %y = qopt.cached_attention %q, %cache, %batch layer 1 source scale 0.125 : tensor<?x4x64xf32>, !qopt.kv_cache<layers = 2, kv_heads = 4, head_size = 64, key = f16, value = f16, page = 16>
  return
}
