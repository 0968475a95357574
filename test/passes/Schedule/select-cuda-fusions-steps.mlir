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
