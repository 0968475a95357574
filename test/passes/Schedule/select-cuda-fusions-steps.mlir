// RUN: qopt-opt %s -pass-pipeline='builtin.module(func.func(qopt-select-cuda-fusions,qopt-select-cuda-kernels{arch=sm_90a}))' | FileCheck %s
// Steps on each element are part of a linear's launch for any number of tokens; a layer_norm ahead of it for one.

// CHECK-LABEL: @steps
// CHECK: qopt.fused kernel linear
// CHECK: qopt.linear {{.*}}skinny_linear
// CHECK: qopt.activation gelu_tanh
// CHECK-NOT: qopt.kernels
// CHECK: qopt.yield
// CHECK-NEXT: }
// CHECK-NEXT: return
func.func @steps(%x: tensor<?x1024xf16>, %w: !qopt.weight<1024x1024, f16, layout = cuda_strips>, %b: tensor<1024xf32>) -> tensor<?x1024xf16> {
  %r = qopt.fused (%a = %x, %v = %w, %c = %b) : (tensor<?x1024xf16>, !qopt.weight<1024x1024, f16, layout = cuda_strips>, tensor<1024xf32>) -> tensor<?x1024xf16> {
    %y = qopt.linear %a, %v bias(%c : tensor<1024xf32>) : tensor<?x1024xf16>, !qopt.weight<1024x1024, f16, layout = cuda_strips> -> tensor<?x1024xf16>
    %g = qopt.activation gelu_tanh %y : tensor<?x1024xf16> -> tensor<?x1024xf16>
    qopt.yield %g : tensor<?x1024xf16>
  }
  return %r : tensor<?x1024xf16>
}

// CHECK-LABEL: @layer_norm
// CHECK: qopt.fused kernel linear
// CHECK: {prologue_tokens = array<i64: 1>}
func.func @layer_norm(%x: tensor<?x4096xf16>, %s: tensor<4096xf32>, %b: tensor<4096xf32>, %w: !qopt.weight<256x4096, f16, layout = cuda_strips>) -> tensor<?x256xf16> {
  %r = qopt.fused (%a = %x, %c = %s, %d = %b, %v = %w) : (tensor<?x4096xf16>, tensor<4096xf32>, tensor<4096xf32>, !qopt.weight<256x4096, f16, layout = cuda_strips>) -> tensor<?x256xf16> {
    %n = qopt.layer_norm %a, %c bias(%d : tensor<4096xf32>) epsilon 1.0e-05 : tensor<?x4096xf16>, tensor<4096xf32> -> tensor<?x4096xf16>
    %y = qopt.linear %n, %v : tensor<?x4096xf16>, !qopt.weight<256x4096, f16, layout = cuda_strips> -> tensor<?x256xf16>
    qopt.yield %y : tensor<?x256xf16>
  }
  return %r : tensor<?x256xf16>
}

// CHECK-LABEL: @norm_sum
// CHECK: qopt.fused (
// CHECK: {qopt.kernels = [#qopt.kernel<norm
func.func @norm_sum(%x: tensor<?x64xf16>, %s: tensor<64xf32>, %z: tensor<?x64xf16>) -> tensor<?x64xf16> {
  %r = qopt.fused (%a = %x, %c = %s, %d = %z) : (tensor<?x64xf16>, tensor<64xf32>, tensor<?x64xf16>) -> tensor<?x64xf16> {
    %n = qopt.rms_norm %a, %c epsilon 1.0e-06 : tensor<?x64xf16>, tensor<64xf32> -> tensor<?x64xf16>
    %y = arith.addf %d, %n : tensor<?x64xf16>
    qopt.yield %y : tensor<?x64xf16>
  }
  return %r : tensor<?x64xf16>
}

// A sum is ahead of the norm in the linear's launch for one token; for others it is a launch as if it stood alone.
// CHECK-LABEL: @sum_ahead
// CHECK: qopt.fused kernel linear
// CHECK-NEXT: qopt.rms_norm {{.*}}#qopt.kernel<norm
// CHECK-NEXT: arith.addf
// CHECK: qopt.linear {{.*}}skinny_linear
// CHECK: {prologue_tokens = array<i64: {{.*}}>, sum_tokens = array<i64: 1>}
func.func @sum_ahead(%x: tensor<?x2304xf16>, %z: tensor<?x2304xf16>, %p: tensor<2304xf32>, %s: tensor<2304xf32>, %w: !qopt.weight<4096x2304, f16, layout = cuda_strips>) -> (tensor<?x4096xf16>, tensor<?x2304xf16>) {
  %r:2 = qopt.fused (%a = %x, %b = %z, %c = %p, %d = %s, %v = %w) : (tensor<?x2304xf16>, tensor<?x2304xf16>, tensor<2304xf32>, tensor<2304xf32>, !qopt.weight<4096x2304, f16, layout = cuda_strips>) -> (tensor<?x4096xf16>, tensor<?x2304xf16>) {
    %n = qopt.rms_norm %a, %c epsilon 1.0e-06 : tensor<?x2304xf16>, tensor<2304xf32> -> tensor<?x2304xf16>
    %t = arith.addf %b, %n : tensor<?x2304xf16>
    %m = qopt.rms_norm %t, %d epsilon 1.0e-06 : tensor<?x2304xf16>, tensor<2304xf32> -> tensor<?x2304xf16>
    %y = qopt.linear %m, %v : tensor<?x2304xf16>, !qopt.weight<4096x2304, f16, layout = cuda_strips> -> tensor<?x4096xf16>
    qopt.yield %y, %t : tensor<?x4096xf16>, tensor<?x2304xf16>
  }
  return %r#0, %r#1 : tensor<?x4096xf16>, tensor<?x2304xf16>
}

// Norms of heads cost a sum over the lanes of a warp: appended with one token and with many, as heads without.
// CHECK-LABEL: @norms_of_heads
// CHECK: qopt.fused kernel linear
// CHECK: {epilogue_tokens = array<i64: 1, 256, 2048>}
!cache = !qopt.kv_cache<layers = 1, kv_heads = 8, head_size = 128, key = f16, value = f16, page = 64>
func.func @norms_of_heads(%x: tensor<?x4096xf16>, %w: !qopt.weight<6144x4096, f16>, %qn: tensor<128xf32>, %kn: tensor<128xf32>, %cos: tensor<?x64xf32>, %sin: tensor<?x64xf32>, %batch: !qopt.batch, %cache: !cache) -> (tensor<?x32x128xf16>, !cache) attributes {qopt.context = 4096} {
  %r:2 = qopt.fused (%a = %x, %v = %w, %p = %qn, %o = %kn, %c = %cos, %s = %sin, %b = %batch, %h = %cache) : (tensor<?x4096xf16>, !qopt.weight<6144x4096, f16>, tensor<128xf32>, tensor<128xf32>, tensor<?x64xf32>, tensor<?x64xf32>, !qopt.batch, !cache) -> (tensor<?x32x128xf16>, !cache) {
    %c0 = arith.constant 0 : index
    %t = tensor.dim %a, %c0 : tensor<?x4096xf16>
    %y = qopt.linear %a, %v : tensor<?x4096xf16>, !qopt.weight<6144x4096, f16> -> tensor<?x6144xf16>
    %qs = tensor.extract_slice %y[0, 0] [%t, 4096] [1, 1] : tensor<?x6144xf16> to tensor<?x4096xf16>
    %ks = tensor.extract_slice %y[0, 4096] [%t, 1024] [1, 1] : tensor<?x6144xf16> to tensor<?x1024xf16>
    %vs = tensor.extract_slice %y[0, 5120] [%t, 1024] [1, 1] : tensor<?x6144xf16> to tensor<?x1024xf16>
    %q = tensor.expand_shape %qs [[0], [1, 2]] output_shape [%t, 32, 128] : tensor<?x4096xf16> into tensor<?x32x128xf16>
    %k = tensor.expand_shape %ks [[0], [1, 2]] output_shape [%t, 8, 128] : tensor<?x1024xf16> into tensor<?x8x128xf16>
    %u = tensor.expand_shape %vs [[0], [1, 2]] output_shape [%t, 8, 128] : tensor<?x1024xf16> into tensor<?x8x128xf16>
    %nq = qopt.rms_norm %q, %p epsilon 1.0e-06 : tensor<?x32x128xf16>, tensor<128xf32> -> tensor<?x32x128xf16>
    %nk = qopt.rms_norm %k, %o epsilon 1.0e-06 : tensor<?x8x128xf16>, tensor<128xf32> -> tensor<?x8x128xf16>
    %rq = qopt.rotary %nq, %c, %s : tensor<?x32x128xf16>, tensor<?x64xf32>
    %rk = qopt.rotary %nk, %c, %s : tensor<?x8x128xf16>, tensor<?x64xf32>
    %next = qopt.kv_append %h, %rk, %u, %b layer 0 : !cache, tensor<?x8x128xf16>
    qopt.yield %rq, %next : tensor<?x32x128xf16>, !cache
  }
  return %r#0, %r#1 : tensor<?x32x128xf16>, !cache
}
