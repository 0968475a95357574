// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// A fused region reads its inputs alone and names the kernel that runs it, when there is one.

!cache = !qopt.kv_cache<layers = 2, kv_heads = 4, head_size = 64, key = f16, value = f16, page = 16>

// CHECK-LABEL: @rotate
func.func @rotate(%x: tensor<?x8x64xf32>, %cos: tensor<?x32xf32>, %sin: tensor<?x32xf32>) -> tensor<?x8x64xf32> {
  // CHECK: qopt.fused (%[[A:.*]] = %{{.*}}, %{{.*}} = %{{.*}}, %{{.*}} = %{{.*}}) : ({{.*}}) -> tensor<?x8x64xf32> {
  // CHECK-NEXT: qopt.rotary %[[A]]
  // CHECK-NEXT: qopt.yield
  %r = qopt.fused (%a = %x, %c = %cos, %s = %sin) : (tensor<?x8x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>) -> tensor<?x8x64xf32> {
    %y = qopt.rotary %a, %c, %s : tensor<?x8x64xf32>, tensor<?x32xf32>
    qopt.yield %y : tensor<?x8x64xf32>
  }
  return %r : tensor<?x8x64xf32>
}

// CHECK-LABEL: @named
func.func @named(%k: tensor<?x4x64xf32>, %cos: tensor<?x32xf32>, %sin: tensor<?x32xf32>, %batch: !qopt.batch, %cache: !cache) -> !cache {
  // CHECK: qopt.fused kernel rotary_append (
  %r = qopt.fused kernel rotary_append (%x = %k, %c = %cos, %s = %sin, %b = %batch, %h = %cache) : (tensor<?x4x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>, !qopt.batch, !cache) -> !cache {
    %t = qopt.rotary %x, %c, %s : tensor<?x4x64xf32>, tensor<?x32xf32>
    %next = qopt.kv_append %h, %t, %x, %b layer 1 : !cache, tensor<?x4x64xf32>
    qopt.yield %next : !cache
  }
  return %r : !cache
}

// CHECK-LABEL: @linear
func.func @linear(%x: tensor<?x64xf16>, %scale: tensor<64xf16>, %w: !qopt.weight<64x64, f16>) -> tensor<?x32xf16> {
  // CHECK: qopt.fused kernel linear (
  // CHECK: {epilogue_tokens = array<i64: 0, 32, 64>, prologue_tokens = array<i64: 1>}
  %r = qopt.fused kernel linear (%a = %x, %s = %scale, %v = %w) : (tensor<?x64xf16>, tensor<64xf16>, !qopt.weight<64x64, f16>) -> tensor<?x32xf16> {
    %n = qopt.rms_norm %a, %s epsilon 1.0e-05 : tensor<?x64xf16>, tensor<64xf16> -> tensor<?x64xf16>
    %y = qopt.linear %n, %v : tensor<?x64xf16>, !qopt.weight<64x64, f16> -> tensor<?x64xf16>
    %g = qopt.gated_activation silu %y : tensor<?x64xf16> -> tensor<?x32xf16>
    qopt.yield %g : tensor<?x32xf16>
  } {prologue_tokens = array<i64: 1>, epilogue_tokens = array<i64: 0, 32, 64>}
  return %r : tensor<?x32xf16>
}
