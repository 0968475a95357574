// RUN: qopt-opt %s -qopt-quantize-weights='weights=int4_g32 lm-head=int8' | FileCheck %s --check-prefixes=CHECK,HEAD
// RUN: qopt-opt %s -qopt-quantize-weights='weights=int4_g32 lm-head=int8 embedding=int4_g32' | FileCheck %s --check-prefixes=CHECK,BOTH
// A weight that is both embedding and head gets the head's format in both, unless the embedding's is asked for.

// CHECK-LABEL: @tied
func.func @tied(%ids: tensor<?xi32>) -> tensor<?x256xf32> {
  %table = qopt.weight "embed" codes(dense<0.5> : tensor<256x64xf32>) : !qopt.weight<256x64, f32>
  %positions = qopt.weight "positions" codes(dense<0.5> : tensor<32x64xf32>) : !qopt.weight<32x64, f32>
  // HEAD: qopt.embedding %arg0, %{{.*}} !qopt.weight<256x64, int8>
  // BOTH: qopt.embedding %arg0, %{{.*}} !qopt.weight<256x64, int4_g32>
  %h = qopt.embedding %ids, %table : tensor<?xi32>, !qopt.weight<256x64, f32> -> tensor<?x64xf32>
  // CHECK: qopt.embedding %arg0, %{{.*}} !qopt.weight<32x64, f32>
  %p = qopt.embedding %ids, %positions : tensor<?xi32>, !qopt.weight<32x64, f32> -> tensor<?x64xf32>
  %s = arith.addf %h, %p : tensor<?x64xf32>
  // CHECK: qopt.linear %{{.*}} !qopt.weight<256x64, int8>
  %l = qopt.linear %s, %table : tensor<?x64xf32>, !qopt.weight<256x64, f32> -> tensor<?x256xf32>
  return %l : tensor<?x256xf32>
}
