// RUN: qopt-opt %s -pass-pipeline='builtin.module(func.func(qopt-select-fused-kernels))' | FileCheck %s
// A region whose body is a kernel's contract names that kernel; another does not.

!cache = !qopt.kv_cache<layers = 2, kv_heads = 4, head_size = 64, key = f16, value = f16, page = 16>

// CHECK-LABEL: @queries_and_keys
func.func @queries_and_keys(%q: tensor<?x8x64xf32>, %k: tensor<?x4x64xf32>, %cos: tensor<?x32xf32>, %sin: tensor<?x32xf32>, %batch: !qopt.batch, %cache: !cache) -> (tensor<?x8x64xf32>, !cache) {
  // CHECK: qopt.fused kernel rotary_append
  %r:2 = qopt.fused (%y = %q, %x = %k, %c = %cos, %s = %sin, %b = %batch, %h = %cache) : (tensor<?x8x64xf32>, tensor<?x4x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>, !qopt.batch, !cache) -> (tensor<?x8x64xf32>, !cache) {
    %rq = qopt.rotary %y, %c, %s : tensor<?x8x64xf32>, tensor<?x32xf32>
    %rk = qopt.rotary %x, %c, %s : tensor<?x4x64xf32>, tensor<?x32xf32>
    %next = qopt.kv_append %h, %rk, %x, %b layer 1 : !cache, tensor<?x4x64xf32>
    qopt.yield %rq, %next : tensor<?x8x64xf32>, !cache
  }
  return %r#0, %r#1 : tensor<?x8x64xf32>, !cache
}

// CHECK-LABEL: @no_append
func.func @no_append(%x: tensor<?x8x64xf32>, %cos: tensor<?x32xf32>, %sin: tensor<?x32xf32>) -> tensor<?x8x64xf32> {
  // CHECK: qopt.fused (
  %r = qopt.fused (%a = %x, %c = %cos, %s = %sin) : (tensor<?x8x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>) -> tensor<?x8x64xf32> {
    %y = qopt.rotary %a, %c, %s : tensor<?x8x64xf32>, tensor<?x32xf32>
    qopt.yield %y : tensor<?x8x64xf32>
  }
  return %r : tensor<?x8x64xf32>
}
