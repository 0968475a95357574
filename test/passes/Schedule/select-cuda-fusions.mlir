// RUN: qopt-opt %s -pass-pipeline='builtin.module(func.func(qopt-select-cuda-fusions,qopt-select-cuda-layouts))' | FileCheck %s
// With few tokens a norm is cheaper in every block than as a launch; with many it is not. A gate always is, and its
// weight is packed in pairs. What no kernel holds stays launches of their own.

// CHECK-LABEL: @gated
// CHECK: %[[P:.*]] = qopt.pack_weight %{{.*}} : !qopt.weight<256x4096, int8> -> !qopt.weight<256x4096, int8, layout = cuda_strip_pairs>
// CHECK: qopt.fused kernel linear (%{{.*}} = %arg0, %{{.*}} = %arg1, %[[W:.*]] = %[[P]])
// CHECK: qopt.linear %{{.*}}, %[[W]] : {{.*}}layout = cuda_strip_pairs
// CHECK: {epilogue_tokens = 2048 : i64, prologue_tokens = 8 : i64}
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
// CHECK: {prologue_tokens = 1 : i64}
// CHECK: qopt.fused kernel linear
// CHECK: qopt.rms_norm
// CHECK: {prologue_tokens = 1 : i64}
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
