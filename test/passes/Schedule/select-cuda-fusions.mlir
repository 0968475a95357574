// RUN: qopt-opt %s -pass-pipeline='builtin.module(func.func(qopt-select-cuda-fusions,qopt-select-cuda-layouts))' | FileCheck %s
// With one token a norm is cheaper in every block than as a launch; with more it is not. A gate always is, and its weight is
// packed in pairs. Heads are appended with one token and with many: between, one warp of skinny_linear would work for long,
// and a block of gemm that has its SM for itself. What no kernel holds stays launches of their own.

// CHECK-LABEL: @gated
// CHECK: %[[P:.*]] = qopt.pack_weight %{{.*}} : !qopt.weight<256x4096, int8> -> !qopt.weight<256x4096, int8, layout = cuda_strip_pairs>
// CHECK: qopt.fused kernel linear (%{{.*}} = %arg0, %{{.*}} = %arg1, %[[W:.*]] = %[[P]])
// CHECK: qopt.linear %{{.*}}, %[[W]] : {{.*}}layout = cuda_strip_pairs
// CHECK: {epilogue_tokens = array<i64: 2048>, prologue_tokens = array<i64: 1>}
func.func @gated(%x: tensor<?x4096xf16>, %scale: tensor<4096xf16>) -> tensor<?x128xf16> {
  %w = qopt.weight "w" codes(dense<1> : tensor<256x4096xi8>) scales(dense<0.5> : tensor<256x1xf32>) : !qopt.weight<256x4096, int8>
  %r = qopt.fused (%a = %x, %s = %scale, %v = %w) : (tensor<?x4096xf16>, tensor<4096xf16>, !qopt.weight<256x4096, int8>) -> tensor<?x128xf16> {
    %n = qopt.rms_norm %a, %s epsilon 1.0e-05 : tensor<?x4096xf16>, tensor<4096xf16> -> tensor<?x4096xf16>
    %y = qopt.linear %n, %v : tensor<?x4096xf16>, !qopt.weight<256x4096, int8> -> tensor<?x256xf16>
    %g = qopt.gated_activation silu %y : tensor<?x256xf16> -> tensor<?x128xf16>
    qopt.yield %g : tensor<?x128xf16>
  }
  return %r : tensor<?x128xf16>
}

// Codes of one token are made by every block, of more by a launch; a row that is not eight by eight always by a launch.
// CHECK-LABEL: @codes
// CHECK: qopt.fused kernel linear
// CHECK: qopt.quantize
// CHECK: {prologue_tokens = array<i64: 1>}
// CHECK: qopt.fused kernel linear
// CHECK: qopt.rms_norm
// CHECK: {prologue_tokens = array<i64: 1>}
// CHECK: qopt.fused (
// CHECK-NOT: prologue_tokens
// CHECK: return
!codes = !qopt.quantized<?x1024, int8>
!odd = !qopt.quantized<?x1023, int8>
func.func @codes(%x: tensor<?x1024xf16>, %scale: tensor<1024xf16>, %w: !qopt.weight<1024x1024, int8>, %z: tensor<?x1023xf16>, %v: !qopt.weight<64x1023, int8>) -> (tensor<?x1024xf16>, tensor<?x64xf16>) {
  %a = qopt.fused (%b = %x, %c = %w) : (tensor<?x1024xf16>, !qopt.weight<1024x1024, int8>) -> tensor<?x1024xf16> {
    %q = qopt.quantize %b : tensor<?x1024xf16> -> !codes
    %y = qopt.linear %q, %c : !codes, !qopt.weight<1024x1024, int8> -> tensor<?x1024xf16>
    qopt.yield %y : tensor<?x1024xf16>
  }
  %d = qopt.fused (%b = %a, %s = %scale, %c = %w) : (tensor<?x1024xf16>, tensor<1024xf16>, !qopt.weight<1024x1024, int8>) -> tensor<?x1024xf16> {
    %n = qopt.rms_norm %b, %s epsilon 1.0e-05 : tensor<?x1024xf16>, tensor<1024xf16> -> !codes
    %y = qopt.linear %n, %c : !codes, !qopt.weight<1024x1024, int8> -> tensor<?x1024xf16>
    qopt.yield %y : tensor<?x1024xf16>
  }
  %e = qopt.fused (%b = %z, %c = %v) : (tensor<?x1023xf16>, !qopt.weight<64x1023, int8>) -> tensor<?x64xf16> {
    %q = qopt.quantize %b : tensor<?x1023xf16> -> !odd
    %y = qopt.linear %q, %c : !odd, !qopt.weight<64x1023, int8> -> tensor<?x64xf16>
    qopt.yield %y : tensor<?x64xf16>
  }
  return %d, %e : tensor<?x1024xf16>, tensor<?x64xf16>
}

// CHECK-LABEL: @append
// CHECK: qopt.fused kernel linear
// CHECK: {epilogue_tokens = array<i64: 1, 512, 2048>}
!cache = !qopt.kv_cache<layers = 1, kv_heads = 8, head_size = 128, key = int8, value = int4, page = 64>
func.func @append(%x: tensor<?x4096xf16>, %w: !qopt.weight<6144x4096, f16>, %cos: tensor<?x64xf32>, %sin: tensor<?x64xf32>, %batch: !qopt.batch, %cache: !cache) -> (tensor<?x32x128xf16>, !cache) attributes {qopt.context = 4096} {
  %r:2 = qopt.fused (%a = %x, %v = %w, %c = %cos, %s = %sin, %b = %batch, %h = %cache) : (tensor<?x4096xf16>, !qopt.weight<6144x4096, f16>, tensor<?x64xf32>, tensor<?x64xf32>, !qopt.batch, !cache) -> (tensor<?x32x128xf16>, !cache) {
    %c0 = arith.constant 0 : index
    %t = tensor.dim %a, %c0 : tensor<?x4096xf16>
    %y = qopt.linear %a, %v : tensor<?x4096xf16>, !qopt.weight<6144x4096, f16> -> tensor<?x6144xf16>
    %qs = tensor.extract_slice %y[0, 0] [%t, 4096] [1, 1] : tensor<?x6144xf16> to tensor<?x4096xf16>
    %ks = tensor.extract_slice %y[0, 4096] [%t, 1024] [1, 1] : tensor<?x6144xf16> to tensor<?x1024xf16>
    %vs = tensor.extract_slice %y[0, 5120] [%t, 1024] [1, 1] : tensor<?x6144xf16> to tensor<?x1024xf16>
    %q = tensor.expand_shape %qs [[0], [1, 2]] output_shape [%t, 32, 128] : tensor<?x4096xf16> into tensor<?x32x128xf16>
    %k = tensor.expand_shape %ks [[0], [1, 2]] output_shape [%t, 8, 128] : tensor<?x1024xf16> into tensor<?x8x128xf16>
    %u = tensor.expand_shape %vs [[0], [1, 2]] output_shape [%t, 8, 128] : tensor<?x1024xf16> into tensor<?x8x128xf16>
    %rq = qopt.rotary %q, %c, %s : tensor<?x32x128xf16>, tensor<?x64xf32>
    %rk = qopt.rotary %k, %c, %s : tensor<?x8x128xf16>, tensor<?x64xf32>
    %next = qopt.kv_append %h, %rk, %u, %b layer 0 : !cache, tensor<?x8x128xf16>
    qopt.yield %rq, %next : tensor<?x32x128xf16>, !cache
  }
  return %r#0, %r#1 : tensor<?x32x128xf16>, !cache
}

// Heads that fill no tile of gemm: with one token alone.
// CHECK-LABEL: @heads_of_96
// CHECK: qopt.fused kernel linear
// CHECK: {epilogue_tokens = array<i64: 1>}
!odd_cache = !qopt.kv_cache<layers = 1, kv_heads = 4, head_size = 96, key = f16, value = f16, page = 64>
func.func @heads_of_96(%x: tensor<?x384xf16>, %w: !qopt.weight<1152x384, f16>, %cos: tensor<?x48xf32>, %sin: tensor<?x48xf32>, %batch: !qopt.batch, %cache: !odd_cache) -> (tensor<?x4x96xf16>, !odd_cache) attributes {qopt.context = 4096} {
  %r:2 = qopt.fused (%a = %x, %v = %w, %c = %cos, %s = %sin, %b = %batch, %h = %cache) : (tensor<?x384xf16>, !qopt.weight<1152x384, f16>, tensor<?x48xf32>, tensor<?x48xf32>, !qopt.batch, !odd_cache) -> (tensor<?x4x96xf16>, !odd_cache) {
    %c0 = arith.constant 0 : index
    %t = tensor.dim %a, %c0 : tensor<?x384xf16>
    %y = qopt.linear %a, %v : tensor<?x384xf16>, !qopt.weight<1152x384, f16> -> tensor<?x1152xf16>
    %qs = tensor.extract_slice %y[0, 0] [%t, 384] [1, 1] : tensor<?x1152xf16> to tensor<?x384xf16>
    %ks = tensor.extract_slice %y[0, 384] [%t, 384] [1, 1] : tensor<?x1152xf16> to tensor<?x384xf16>
    %vs = tensor.extract_slice %y[0, 768] [%t, 384] [1, 1] : tensor<?x1152xf16> to tensor<?x384xf16>
    %q = tensor.expand_shape %qs [[0], [1, 2]] output_shape [%t, 4, 96] : tensor<?x384xf16> into tensor<?x4x96xf16>
    %k = tensor.expand_shape %ks [[0], [1, 2]] output_shape [%t, 4, 96] : tensor<?x384xf16> into tensor<?x4x96xf16>
    %u = tensor.expand_shape %vs [[0], [1, 2]] output_shape [%t, 4, 96] : tensor<?x384xf16> into tensor<?x4x96xf16>
    %rq = qopt.rotary %q, %c, %s : tensor<?x4x96xf16>, tensor<?x48xf32>
    %rk = qopt.rotary %k, %c, %s : tensor<?x4x96xf16>, tensor<?x48xf32>
    %next = qopt.kv_append %h, %rk, %u, %b layer 0 : !odd_cache, tensor<?x4x96xf16>
    qopt.yield %rq, %next : tensor<?x4x96xf16>, !odd_cache
  }
  return %r#0, %r#1 : tensor<?x4x96xf16>, !odd_cache
}
