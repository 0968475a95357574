// RUN: qopt-opt %s -qopt-fuse-rotary-append | FileCheck %s
// RUN: qopt-opt %s -qopt-fuse-rotary-append=norms=true | FileCheck %s --check-prefix=NORMS
// Rotations of queries and keys and the append between them become one region.

!cache = !qopt.kv_cache<layers = 2, kv_heads = 4, head_size = 64, key = f16, value = f16, page = 16>

// CHECK-LABEL: @queries_and_keys
func.func @queries_and_keys(%q: tensor<?x8x64xf32>, %k: tensor<?x4x64xf32>, %v: tensor<?x4x64xf32>, %cos: tensor<?x32xf32>, %sin: tensor<?x32xf32>, %batch: !qopt.batch, %cache: !cache) -> (tensor<?x8x64xf32>, !cache) {
  // CHECK-NEXT: %[[R:.*]]:2 = qopt.fused (%[[Q:.*]] = %arg0, %[[COS:.*]] = %arg3, %[[SIN:.*]] = %arg4, %[[K:.*]] = %arg1, %[[C:.*]] = %arg6, %[[V:.*]] = %arg2, %[[B:.*]] = %arg5)
  // CHECK-NEXT: %[[RQ:.*]] = qopt.rotary %[[Q]], %[[COS]], %[[SIN]]
  // CHECK-NEXT: %[[RK:.*]] = qopt.rotary %[[K]], %[[COS]], %[[SIN]]
  // CHECK-NEXT: %[[NEXT:.*]] = qopt.kv_append %[[C]], %[[RK]], %[[V]], %[[B]] layer 1
  // CHECK-NEXT: qopt.yield %[[RQ]], %[[NEXT]]
  // CHECK: qopt.cached_attention %[[R]]#0, %[[R]]#1
  %rq = qopt.rotary %q, %cos, %sin : tensor<?x8x64xf32>, tensor<?x32xf32>
  %rk = qopt.rotary %k, %cos, %sin : tensor<?x4x64xf32>, tensor<?x32xf32>
  %next = qopt.kv_append %cache, %rk, %v, %batch layer 1 : !cache, tensor<?x4x64xf32>
  %y = qopt.cached_attention %rq, %next, %batch layer 1 scale 0.125 : tensor<?x8x64xf32>, !cache
  return %y, %next : tensor<?x8x64xf32>, !cache
}

// CHECK-LABEL: @other_table
func.func @other_table(%q: tensor<?x8x64xf32>, %k: tensor<?x4x64xf32>, %cos: tensor<?x32xf32>, %sin: tensor<?x32xf32>, %batch: !qopt.batch, %cache: !cache) -> (tensor<?x8x64xf32>, !cache) {
  // CHECK-NEXT: %[[RQ:.*]] = qopt.rotary %arg0, %arg3, %arg2
  // CHECK-NEXT: %[[NEXT:.*]] = qopt.fused
  // CHECK: qopt.cached_attention %[[RQ]], %[[NEXT]]
  %rq = qopt.rotary %q, %sin, %cos : tensor<?x8x64xf32>, tensor<?x32xf32>
  %rk = qopt.rotary %k, %cos, %sin : tensor<?x4x64xf32>, tensor<?x32xf32>
  %next = qopt.kv_append %cache, %rk, %k, %batch layer 1 : !cache, tensor<?x4x64xf32>
  %y = qopt.cached_attention %rq, %next, %batch layer 1 scale 0.125 : tensor<?x8x64xf32>, !cache
  return %y, %next : tensor<?x8x64xf32>, !cache
}

// CHECK-LABEL: @not_rotated
func.func @not_rotated(%k: tensor<?x4x64xf32>, %batch: !qopt.batch, %cache: !cache) -> !cache {
  // CHECK-NOT: qopt.fused
  %next = qopt.kv_append %cache, %k, %k, %batch layer 1 : !cache, tensor<?x4x64xf32>
  return %next : !cache
}

// Norms of heads with scales of their own belong to a launch that does norms.
// CHECK-LABEL: @norms_of_heads
// CHECK: qopt.layer_norm
// CHECK: qopt.layer_norm
// CHECK: qopt.fused
// NORMS-LABEL: @norms_of_heads
// NORMS-NEXT: qopt.fused
// NORMS-NEXT: qopt.layer_norm {{.*}} : tensor<?x8x64xf16>, tensor<8x64xf32>
// NORMS-NEXT: qopt.layer_norm {{.*}} : tensor<?x4x64xf16>, tensor<4x64xf32>
func.func @norms_of_heads(%q: tensor<?x8x64xf16>, %k: tensor<?x4x64xf16>, %v: tensor<?x4x64xf16>, %sq: tensor<8x64xf32>, %sk: tensor<4x64xf32>, %cos: tensor<?x32xf32>, %sin: tensor<?x32xf32>, %batch: !qopt.batch, %cache: !cache) -> (tensor<?x8x64xf16>, !cache) {
  %nq = qopt.layer_norm %q, %sq epsilon 1.0e-05 : tensor<?x8x64xf16>, tensor<8x64xf32> -> tensor<?x8x64xf16>
  %nk = qopt.layer_norm %k, %sk epsilon 1.0e-05 : tensor<?x4x64xf16>, tensor<4x64xf32> -> tensor<?x4x64xf16>
  %rq = qopt.rotary %nq, %cos, %sin : tensor<?x8x64xf16>, tensor<?x32xf32>
  %rk = qopt.rotary %nk, %cos, %sin : tensor<?x4x64xf16>, tensor<?x32xf32>
  %next = qopt.kv_append %cache, %rk, %v, %batch layer 1 : !cache, tensor<?x4x64xf16>
  %y = qopt.cached_attention %rq, %next, %batch layer 1 scale 0.125 : tensor<?x8x64xf16>, !cache
  return %y, %next : tensor<?x8x64xf16>, !cache
}

// Norms of different kinds are launches of their own.
// NORMS-LABEL: @unlike_norms
// NORMS: qopt.layer_norm
// NORMS-NEXT: qopt.rms_norm
// NORMS-NEXT: qopt.fused
func.func @unlike_norms(%q: tensor<?x8x64xf16>, %k: tensor<?x4x64xf16>, %s: tensor<64xf32>, %cos: tensor<?x32xf32>, %sin: tensor<?x32xf32>, %batch: !qopt.batch, %cache: !cache) -> (tensor<?x8x64xf16>, !cache) {
  %nq = qopt.layer_norm %q, %s epsilon 1.0e-05 : tensor<?x8x64xf16>, tensor<64xf32> -> tensor<?x8x64xf16>
  %nk = qopt.rms_norm %k, %s epsilon 1.0e-05 : tensor<?x4x64xf16>, tensor<64xf32> -> tensor<?x4x64xf16>
  %rq = qopt.rotary %nq, %cos, %sin : tensor<?x8x64xf16>, tensor<?x32xf32>
  %rk = qopt.rotary %nk, %cos, %sin : tensor<?x4x64xf16>, tensor<?x32xf32>
  %next = qopt.kv_append %cache, %rk, %k, %batch layer 1 : !cache, tensor<?x4x64xf16>
  %y = qopt.cached_attention %rq, %next, %batch layer 1 scale 0.125 : tensor<?x8x64xf16>, !cache
  return %y, %next : tensor<?x8x64xf16>, !cache
}
