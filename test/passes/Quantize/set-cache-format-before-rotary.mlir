// RUN: qopt-opt %s -qopt-set-cache-format='key=int4_g32 before-rotary=true' -cse | FileCheck %s
// RUN: qopt-opt %s -qopt-set-cache-format='key=int4_g32 overrides=cache.0.key=int8,before_rotary' -cse | FileCheck %s
// RUN: qopt-opt %s -qopt-set-cache-format='key=int4_g32 overrides=cache.0.value=int8' -cse | FileCheck %s --check-prefix=BEHIND
// Keys are appended as they come, and each attention to them knows the rotation; queries keep theirs.

!cache = !qopt.kv_cache<layers = 1, kv_heads = 2, head_size = 8, key = f16, value = f16, page = 16>


// CHECK-LABEL: @step
// CHECK-SAME: %[[Q:.*]]: tensor<?x2x8xf32>, %[[K:.*]]: tensor<?x2x8xf32>
func.func @step(%q: tensor<?x2x8xf32>, %k: tensor<?x2x8xf32>, %batch: !qopt.batch, %cache: !cache) -> (tensor<?x2x8xf32>, !cache) {
  %f = arith.constant dense<[1.0, 0.5]> : tensor<2xf32>
  %p = qopt.positions %batch : tensor<?xi32>
  %cos, %sin = qopt.rotary_table %p, %f scale 1.5 : tensor<?xi32>, tensor<2xf32> -> tensor<?x2xf32>
  // CHECK: %[[ROTATED:.*]] = qopt.rotary %[[Q]]
  %rq = qopt.rotary %q, %cos, %sin interleaved : tensor<?x2x8xf32>, tensor<?x2xf32>
  // CHECK-NOT: qopt.rotary
  %rk = qopt.rotary %k, %cos, %sin interleaved : tensor<?x2x8xf32>, tensor<?x2xf32>
  // CHECK: qopt.kv_append %{{.*}}, %[[K]], %[[K]]
  %next = qopt.kv_append %cache, %rk, %k, %batch layer 0 : !cache, tensor<?x2x8xf32>
  // CHECK: qopt.cached_attention %[[ROTATED]]
  // CHECK-SAME: qopt.key_rotation = {frequencies = array<f32: 1.000000e+00, 5.000000e-01>, interleaved, scale = 1.500000e+00 : f32}
  %y = qopt.cached_attention %rq, %next, %batch layer 0 scale 0.125 : tensor<?x2x8xf32>, !cache
  return %y, %next : tensor<?x2x8xf32>, !cache
}

// BEHIND-NOT: qopt.key_rotation
