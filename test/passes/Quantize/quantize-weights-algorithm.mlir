// RUN: qopt-opt %s -qopt-quantize-weights='weights=int4_asym_g32_zf embedding=f16 algorithm=hqq' | FileCheck %s
// RUN: not qopt-opt %s -qopt-quantize-weights='weights=int4_g32 algorithm=hqq' 2>&1 | FileCheck %s --check-prefix=ZERO
// RUN: not qopt-opt %s -qopt-quantize-weights='weights=int4_g32 algorithm=gptq' 2>&1 | FileCheck %s --check-prefix=NAME
// Codes by another algorithm than round to nearest; values of 16 bits have no codes.

// ZERO: error: hqq moves zero points by fractions, which "int4_g32" of "up" does not have; choose a format such as int4_asym_g64_zf, or the algorithm clip
// NAME: error: option "algorithm" is "gptq"; expected rtn, clip or hqq

// CHECK-LABEL: @algorithm
func.func @algorithm(%ids: tensor<?xi32>) -> tensor<?x128xf32> {
  %table = qopt.weight "embed" codes(dense<0.5> : tensor<256x64xf32>) : !qopt.weight<256x64, f32>
  %up = qopt.weight "up" codes(dense<0.5> : tensor<128x64xf32>) : !qopt.weight<128x64, f32>
  // CHECK: qopt.quantize_weight %{{.*}} rtn : !qopt.weight<256x64, f32> -> !qopt.weight<256x64, f16>
  %h = qopt.embedding %ids, %table : tensor<?xi32>, !qopt.weight<256x64, f32> -> tensor<?x64xf32>
  // CHECK: qopt.quantize_weight %{{.*}} hqq : !qopt.weight<128x64, f32> -> !qopt.weight<128x64, int4_asym_g32_zf>
  %a = qopt.linear %h, %up : tensor<?x64xf32>, !qopt.weight<128x64, f32> -> tensor<?x128xf32>
  return %a : tensor<?x128xf32>
}
