// Every op that a family runs gets family and schedule for each architecture and bucket; layers that ask the same get the
// same, and what no family runs stays as it is.
// RUN: qopt-opt %s -pass-pipeline='builtin.module(func.func(qopt-select-cuda-kernels{arch=sm_90a,sm_80}))' -split-input-file -verify-diagnostics | FileCheck %s

!weight = !qopt.weight<1024x1024, f16, layout = cuda_strips>

// CHECK-LABEL: func @linear
// CHECK: qopt.linear
// CHECK-SAME: #qopt.kernel<skinny_linear, sm_90a, most = 1, {blocks_per_sm = 2, column_warps = [[WARPS:[0-9]+]], grid = [[GRID:[0-9]+]],
// CHECK-SAME: #qopt.kernel<skinny_linear, sm_90a, most = 64, {
// CHECK-SAME: units_per_stage = [
// CHECK-SAME: #qopt.kernel<gemm, sm_90a, most = 128, {
// CHECK-SAME: #qopt.kernel<gemm, sm_90a, {
// CHECK-SAME: #qopt.kernel<skinny_linear, sm_80, most = 1, {
// CHECK: qopt.linear
// CHECK-SAME: #qopt.kernel<skinny_linear, sm_90a, most = 1, {blocks_per_sm = 2, column_warps = [[WARPS]], grid = [[GRID]],
func.func @linear(%x: tensor<?x1024xf16>, %w: !weight) -> tensor<?x1024xf16> {
  %y = qopt.linear %x, %w : tensor<?x1024xf16>, !weight -> tensor<?x1024xf16>
  %z = qopt.linear %y, %w : tensor<?x1024xf16>, !weight -> tensor<?x1024xf16>
  return %z : tensor<?x1024xf16>
}

// -----

// CHECK-LABEL: func @rows
// CHECK: qopt.rms_norm
// CHECK-SAME: qopt.kernels = [#qopt.kernel<norm, sm_90a, {rows_per_block = 1, threads = 512, width = 8}>, #qopt.kernel<norm, sm_80, {
// CHECK: qopt.gated_activation
// CHECK-SAME: #qopt.kernel<gated_activation, sm_90a, {
// CHECK: arith.addf
// CHECK-NOT: qopt.kernels
// CHECK: return
func.func @rows(%x: tensor<?x4096xf16>, %scale: tensor<4096xf16>) -> tensor<?x2048xf16> {
  %y = qopt.rms_norm %x, %scale epsilon 1.0e-05 : tensor<?x4096xf16>, tensor<4096xf16> -> tensor<?x4096xf16>
  %z = qopt.gated_activation silu %y : tensor<?x4096xf16> -> tensor<?x2048xf16>
  %sum = arith.addf %z, %z : tensor<?x2048xf16>
  return %sum : tensor<?x2048xf16>
}

// -----

!cache = !qopt.kv_cache<layers = 1, kv_heads = 4, head_size = 64, key = f16, value = f16, page = 64>

// Few new tokens a sequence have a kernel that divides positions; any number, one that divides rows.
// CHECK-LABEL: func @step
// CHECK: qopt.fused
// CHECK: qopt.kernels = [#qopt.kernel<rotary_append, sm_90a, {warps = 4, width = 2}>
// CHECK: qopt.cached_attention
// CHECK-SAME: #qopt.kernel<attention_decode, sm_90a, most = 1, {blocks_per_sm = 2, row_tiles = 1,
// CHECK-SAME: #qopt.kernel<attention_decode, sm_90a, most = 8, {blocks_per_sm = 2, row_tiles = 2,
// CHECK-SAME: #qopt.kernel<attention_prefill, sm_90a, {
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

// The end of a decoder chooses tokens: the largest logit, shared by blocks where rows are few, and draws.
// CHECK-LABEL: func @logits
// CHECK: return
// CHECK-SAME: qopt.kernels = [#qopt.kernel<argmax, sm_90a, most = 64, {blocks_per_row = 8, threads = 256}>,
// CHECK-SAME: #qopt.kernel<argmax, sm_90a, {blocks_per_row = 1, threads = 256}>,
// CHECK-SAME: #qopt.kernel<sampling, sm_90a, most = 64, {blocks_per_row = 8}>, #qopt.kernel<sampling, sm_90a, {blocks_per_row = 1}>
func.func @logits(%x: tensor<?x32000xf32>) -> tensor<?x32000xf32> attributes {qopt.decoder} {
  return %x : tensor<?x32000xf32>
}

// -----

// A graph gives its logits, and a vocabulary beyond what a kernel draws from leaves the choice to the host.
// CHECK-LABEL: func @graph
// CHECK-NOT: qopt.kernels
// CHECK-LABEL: func @large
// CHECK-NOT: qopt.kernels
func.func @graph(%x: tensor<?x32000xf32>) -> tensor<?x32000xf32> {
  return %x : tensor<?x32000xf32>
}
func.func @large(%x: tensor<?x300000xf32>) -> tensor<?x300000xf32> attributes {qopt.decoder} {
  return %x : tensor<?x300000xf32>
}

// -----

func.func @wide(%x: tensor<?x4096xf32>, %scale: tensor<4096xf32>) -> tensor<?x4096xf32> {
  // expected-error @+1 {{activations are f16 or bf16}}
  %y = qopt.rms_norm %x, %scale epsilon 1.0e-05 : tensor<?x4096xf32>, tensor<4096xf32> -> tensor<?x4096xf32>
  return %y : tensor<?x4096xf32>
}

// -----

!codes = !qopt.quantized<?x1024, int8>

// Codes are written by a norm, or by a kernel of their own, and multiplied by both families of linears.
// CHECK-LABEL: func @codes
// CHECK: qopt.rms_norm
// CHECK-SAME: #qopt.kernel<norm, sm_90a, {
// CHECK: qopt.linear
// CHECK-SAME: #qopt.kernel<skinny_linear, sm_90a, most = 1, {
// CHECK-SAME: #qopt.kernel<gemm, sm_90a, most = 128, {
// CHECK: qopt.quantize %
// CHECK-SAME: #qopt.kernel<quantize, sm_90a, {rows_per_block = 1, threads = 128, width = 8}>
func.func @codes(%x: tensor<?x1024xf16>, %scale: tensor<1024xf16>, %w: !qopt.weight<1024x1024, int8, layout = cuda_strips>) -> !codes {
  %n = qopt.rms_norm %x, %scale epsilon 1.0e-05 : tensor<?x1024xf16>, tensor<1024xf16> -> !codes
  %y = qopt.linear %n, %w : !codes, !qopt.weight<1024x1024, int8, layout = cuda_strips> -> tensor<?x1024xf16>
  %q = qopt.quantize %y : tensor<?x1024xf16> -> !codes
  return %q : !codes
}

// -----

func.func @blocks(%x: tensor<?x64xf16>) -> !qopt.quantized<?x64, int8_g32_sf32> {
  // expected-error @+1 {{GPU kernels write activations in int8 with one scale a row; got "int8_g32_sf32"}}
  %q = qopt.quantize %x : tensor<?x64xf16> -> !qopt.quantized<?x64, int8_g32_sf32>
  return %q : !qopt.quantized<?x64, int8_g32_sf32>
}
