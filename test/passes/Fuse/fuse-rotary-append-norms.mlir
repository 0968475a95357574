// RUN: qopt-opt %s -pass-pipeline='builtin.module(func.func(qopt-fuse-rotary-append{norms=true}))' | FileCheck %s
// RUN: qopt-opt %s -qopt-fuse-rotary-append | FileCheck %s --check-prefix=HOST
// On a GPU the norms of the heads of queries and keys are part of the region where both have one.

!cache = !qopt.kv_cache<layers = 1, kv_heads = 4, head_size = 64, key = f16, value = f16, page = 16>

// CHECK-LABEL: @both
// CHECK-NEXT: %[[R:.*]]:2 = qopt.fused (%[[Q:.*]] = %arg0, %[[QS:.*]] = %arg3, %[[K:.*]] = %arg1, %[[KS:.*]] = %arg4,
// CHECK-NEXT: %[[NQ:.*]] = qopt.rms_norm %[[Q]], %[[QS]]
// CHECK-NEXT: %[[NK:.*]] = qopt.rms_norm %[[K]], %[[KS]]
// CHECK-NEXT: %[[RQ:.*]] = qopt.rotary %[[NQ]]
// CHECK-NEXT: %[[RK:.*]] = qopt.rotary %[[NK]]
// CHECK-NEXT: qopt.kv_append %{{.*}}, %[[RK]]
// HOST-LABEL: @both
// HOST-COUNT-2: = qopt.rms_norm %arg
// HOST: qopt.fused
func.func @both(%q: tensor<?x8x64xf16>, %k: tensor<?x4x64xf16>, %v: tensor<?x4x64xf16>, %qs: tensor<64xf32>, %ks: tensor<64xf32>, %cos: tensor<?x32xf32>, %sin: tensor<?x32xf32>, %batch: !qopt.batch, %cache: !cache) -> (tensor<?x8x64xf16>, !cache) {
  %nq = qopt.rms_norm %q, %qs epsilon 1.0e-06 : tensor<?x8x64xf16>, tensor<64xf32> -> tensor<?x8x64xf16>
  %nk = qopt.rms_norm %k, %ks epsilon 1.0e-06 : tensor<?x4x64xf16>, tensor<64xf32> -> tensor<?x4x64xf16>
  %rq = qopt.rotary %nq, %cos, %sin : tensor<?x8x64xf16>, tensor<?x32xf32>
  %rk = qopt.rotary %nk, %cos, %sin : tensor<?x4x64xf16>, tensor<?x32xf32>
  %next = qopt.kv_append %cache, %rk, %v, %batch layer 0 : !cache, tensor<?x4x64xf16>
  %y = qopt.cached_attention %rq, %next, %batch layer 0 scale 0.125 : tensor<?x8x64xf16>, !cache
  return %y, %next : tensor<?x8x64xf16>, !cache
}

// CHECK-LABEL: @other_epsilon
// CHECK-COUNT-2: = qopt.rms_norm %arg
// CHECK: qopt.fused
// CHECK-NOT: qopt.rms_norm
// CHECK: return
func.func @other_epsilon(%q: tensor<?x8x64xf16>, %k: tensor<?x4x64xf16>, %v: tensor<?x4x64xf16>, %qs: tensor<64xf32>, %ks: tensor<64xf32>, %cos: tensor<?x32xf32>, %sin: tensor<?x32xf32>, %batch: !qopt.batch, %cache: !cache) -> (tensor<?x8x64xf16>, !cache) {
  %nq = qopt.rms_norm %q, %qs epsilon 1.0e-05 : tensor<?x8x64xf16>, tensor<64xf32> -> tensor<?x8x64xf16>
  %nk = qopt.rms_norm %k, %ks epsilon 1.0e-06 : tensor<?x4x64xf16>, tensor<64xf32> -> tensor<?x4x64xf16>
  %rq = qopt.rotary %nq, %cos, %sin : tensor<?x8x64xf16>, tensor<?x32xf32>
  %rk = qopt.rotary %nk, %cos, %sin : tensor<?x4x64xf16>, tensor<?x32xf32>
  %next = qopt.kv_append %cache, %rk, %v, %batch layer 0 : !cache, tensor<?x4x64xf16>
  %y = qopt.cached_attention %rq, %next, %batch layer 0 scale 0.125 : tensor<?x8x64xf16>, !cache
  return %y, %next : tensor<?x8x64xf16>, !cache
}
