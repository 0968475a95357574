// Ops of GPU kernels carry the order of their sums for the host: by the tokens of launches where these differ, up to where
// gemm takes over; regions dissolve, and nothing names a kernel any more.
// RUN: qopt-opt %s -pass-pipeline='builtin.module(func.func(qopt-select-cuda-kernels{arch=sm_90a},qopt-select-sum-orders{arch=sm_90a}))' -split-input-file -verify-diagnostics | FileCheck %s

!weight = !qopt.weight<1024x1024, int4_g128, layout = cuda_strips>

// CHECK-LABEL: func @linear
// CHECK: qopt.linear
// CHECK-NOT: qopt.kernels
// CHECK-SAME: qopt.sum_orders = [{base_lower = {{[0-9]+}} : i64,
// CHECK-SAME: most_tokens = 1 : i64, {{[^}]*}}sums_by_threads = true, {{[^}]*}}two_chains = true
// CHECK-SAME: most_tokens = 16 : i64, {{[^}]*}}sums_by_threads = false
func.func @linear(%x: tensor<?x1024xf16>, %w: !weight) -> tensor<?x1024xf16> {
  %y = qopt.linear %x, %w : tensor<?x1024xf16>, !weight -> tensor<?x1024xf16>
  return %y : tensor<?x1024xf16>
}

// -----

!mixed = !qopt.weight<1024x1024, [512: int4_g128, 512: int8], layout = cuda_strips>

// Rows of each format have orders of their own.
// CHECK-LABEL: func @mixed
// CHECK: qopt.sum_orders = {{\[\[}}{base_lower = {{.*}}}], [{base_lower = {{.*}}}]]
func.func @mixed(%x: tensor<?x1024xf16>, %w: !mixed) -> tensor<?x1024xf16> {
  %y = qopt.linear %x, %w : tensor<?x1024xf16>, !mixed -> tensor<?x1024xf16>
  return %y : tensor<?x1024xf16>
}

// -----

// CHECK-LABEL: func @rows
// CHECK: qopt.rms_norm
// CHECK-SAME: qopt.sum_orders = [{most_tokens = 0 : i64, threads = 512 : i64, warps_in_butterfly = true, width = 8 : i64}]
// CHECK: qopt.gated_activation
// CHECK-SAME: qopt.sum_orders = []
func.func @rows(%x: tensor<?x4096xf16>, %scale: tensor<4096xf16>) -> tensor<?x2048xf16> {
  %y = qopt.rms_norm %x, %scale epsilon 1.0e-05 : tensor<?x4096xf16>, tensor<4096xf16> -> tensor<?x4096xf16>
  %z = qopt.gated_activation silu %y : tensor<?x4096xf16> -> tensor<?x2048xf16>
  return %z : tensor<?x2048xf16>
}

// -----

!cache = !qopt.kv_cache<layers = 1, kv_heads = 4, head_size = 64, key = f16, value = f16, page = 64>

// The region is no launch of the host's.
// CHECK-LABEL: func @step
// CHECK-NOT: qopt.fused
// CHECK: qopt.rotary
// CHECK: qopt.kv_append
// CHECK: qopt.cached_attention
// CHECK-SAME: qopt.sum_orders = [{{.}}bf16 = false, block_rows = 8 : i64, context = 256 : i64, most_tokens = 1 : i64,
// CHECK-SAME: block_rows = 16 : i64, context = 256 : i64, most_tokens = 8 : i64,
// CHECK-SAME: context = 0 : i64, most_tokens = 0 : i64,
func.func @step(%q: tensor<?x8x64xf16>, %k: tensor<?x4x64xf16>, %v: tensor<?x4x64xf16>, %cos: tensor<?x32xf32>, %sin: tensor<?x32xf32>, %batch: !qopt.batch, %cache: !cache) -> (tensor<?x8x64xf16>, !cache) attributes {qopt.context = 256 : i64, qopt.decoder} {
  %r:2 = qopt.fused (%a = %q, %b = %k, %d = %v, %c = %cos, %s = %sin, %t = %cache, %n = %batch) : (tensor<?x8x64xf16>, tensor<?x4x64xf16>, tensor<?x4x64xf16>, tensor<?x32xf32>, tensor<?x32xf32>, !cache, !qopt.batch) -> (tensor<?x8x64xf16>, !cache) {
    %rq = qopt.rotary %a, %c, %s : tensor<?x8x64xf16>, tensor<?x32xf32>
    %rk = qopt.rotary %b, %c, %s : tensor<?x4x64xf16>, tensor<?x32xf32>
    %next = qopt.kv_append %t, %rk, %d, %n layer 0 : !cache, tensor<?x4x64xf16>
    qopt.yield %rq, %next : tensor<?x8x64xf16>, !cache
  }
  %y = qopt.cached_attention %r#0, %r#1, %batch layer 0 scale 0.125 : tensor<?x8x64xf16>, !cache
  return %y, %r#1 : tensor<?x8x64xf16>, !cache
}

// -----

!cache = !qopt.kv_cache<layers = 1, kv_heads = 4, head_size = 64, key = int8_g32, value = int8, page = 64>

// CHECK-LABEL: func @groups
// CHECK: qopt.cached_attention
// CHECK-SAME: qopt.sum_orders = [{
func.func @groups(%q: tensor<?x8x64xf16>, %batch: !qopt.batch, %cache: !cache) -> (tensor<?x8x64xf16>, !cache) attributes {qopt.context = 256 : i64, qopt.decoder} {
  %y = qopt.cached_attention %q, %cache, %batch layer 0 scale 0.125 : tensor<?x8x64xf16>, !cache
  return %y, %cache : tensor<?x8x64xf16>, !cache
}

// -----

!cache = !qopt.kv_cache<layers = 1, kv_heads = 4, head_size = 64, key = int8_g32, value = int8, page = 64>

// Keys that wait for their group are rounded where they are rotated.
// CHECK-LABEL: func @wait
// CHECK: qopt.rotary {{.*}} : tensor<?x4x64xbf16>, tensor<?x32xf32>
// CHECK: onnx.Cast %arg1 : (tensor<?x4x64xbf16>) -> tensor<?x4x64xf32>
// CHECK-NEXT: qopt.kv_append
// expected-warning @+1 {{keys wait for the scales of their group in bf16 on a GPU, in f16 on the host, where those below 2^-17 are rounded and those from 65520 on infinite}}
func.func @wait(%k: tensor<?x4x64xbf16>, %v: tensor<?x4x64xbf16>, %cos: tensor<?x32xf32>, %sin: tensor<?x32xf32>, %batch: !qopt.batch, %cache: !cache) -> !cache attributes {qopt.context = 256 : i64, qopt.decoder} {
  %rk = qopt.rotary %k, %cos, %sin : tensor<?x4x64xbf16>, tensor<?x32xf32>
  %next = qopt.kv_append %cache, %rk, %v, %batch layer 0 : !cache, tensor<?x4x64xbf16>
  return %next : !cache
}

// -----

// Generated kernels sum in their own way on each target.
// CHECK-LABEL: func @generated
// expected-warning @+1 {{the sums and functions of 2 onnx.Softmax, 1 onnx.Erf in "generated" are the host's own; the bits of results behind them may differ from the GPU's}}
func.func @generated(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %a = onnx.Softmax %x {axis = 1 : i64} : (tensor<?x64xf32>) -> tensor<?x64xf32>
  %b = onnx.Softmax %a {axis = 0 : i64} : (tensor<?x64xf32>) -> tensor<?x64xf32>
  %c = onnx.Erf %b : (tensor<?x64xf32>) -> tensor<?x64xf32>
  %d = onnx.Add %c, %x : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  return %d : tensor<?x64xf32>
}
