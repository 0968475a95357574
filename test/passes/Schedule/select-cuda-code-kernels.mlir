// A linear of codes that the model computes has the kernels of int8 activations: skinny_linear for few tokens, gemm for
// many. What gives it the codes has none: the kernels read them where they are.
// RUN: qopt-opt %s -pass-pipeline='builtin.module(func.func(qopt-select-cuda-kernels{arch=sm_90a,sm_80}))' | FileCheck %s

!weight = !qopt.weight<256x512, int8, layout = cuda_strips>

// CHECK-LABEL: func @linear
// CHECK: qopt.from_codes
// CHECK-NOT: qopt.kernel
// CHECK: qopt.linear
// CHECK-SAME: #qopt.kernel<skinny_linear, sm_90a, most = 1, {
// CHECK-SAME: #qopt.kernel<gemm, sm_90a, {
// CHECK-SAME: #qopt.kernel<skinny_linear, sm_80, most = 1, {
func.func @linear(%x: tensor<?x512xui8>, %s: tensor<f32>, %z: tensor<ui8>, %w: !weight) -> tensor<?x256xf16> {
  %q = qopt.from_codes %x scale %s zero %z : tensor<?x512xui8>, tensor<f32>, tensor<ui8> -> !qopt.quantized<?x512, int8_asym>
  %y = qopt.linear %q, %w : !qopt.quantized<?x512, int8_asym>, !weight -> tensor<?x256xf16>
  return %y : tensor<?x256xf16>
}
