// RUN: not qopt-opt %s -qopt-quantize-weights='weights=int4_g40 embedding=int4_g8 overrides=k_proj=int4_g32 device=cuda' 2>&1 | FileCheck %s
// RUN: qopt-opt %s -qopt-quantize-weights='embedding=int4_g8 weights=int8 device=cuda' | FileCheck %s --check-prefix=ROWS
// A format that linears of the device do not read is told for all of them, whatever its groups divide; what they do read must
// divide. Rows that are looked up have any format.

// CHECK: error: "q_proj", "v_proj": weight format "int4_g40" has groups of 40; expected 16, 32, 64 or a multiple of 128
// CHECK-NOT: size 40
// CHECK: error: the group size 32 of "int4_g32" does not divide the 24 columns of "k_proj"
// CHECK-NOT: error
// ROWS-LABEL: @linears
// ROWS: qopt.quantize_weight {{.*}} -> !qopt.weight<64x32, int4_g8>
func.func @linears(%ids: tensor<?xi64>, %x: tensor<?x24xf32>) -> (tensor<?x32xf32>, tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>) {
  %table = qopt.weight "table" codes(dense<0.5> : tensor<64x32xf32>) : !qopt.weight<64x32, f32>
  %q = qopt.weight "q_proj" codes(dense<0.5> : tensor<16x24xf32>) : !qopt.weight<16x24, f32>
  %k = qopt.weight "k_proj" codes(dense<0.5> : tensor<16x24xf32>) : !qopt.weight<16x24, f32>
  %v = qopt.weight "v_proj" codes(dense<0.5> : tensor<16x32xf32>) : !qopt.weight<16x32, f32>
  %e = qopt.embedding %ids, %table : tensor<?xi64>, !qopt.weight<64x32, f32> -> tensor<?x32xf32>
  %a = qopt.linear %x, %q : tensor<?x24xf32>, !qopt.weight<16x24, f32> -> tensor<?x16xf32>
  %b = qopt.linear %x, %k : tensor<?x24xf32>, !qopt.weight<16x24, f32> -> tensor<?x16xf32>
  %c = qopt.linear %e, %v : tensor<?x32xf32>, !qopt.weight<16x32, f32> -> tensor<?x16xf32>
  return %e, %a, %b, %c : tensor<?x32xf32>, tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>
}
