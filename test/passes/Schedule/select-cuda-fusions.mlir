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
