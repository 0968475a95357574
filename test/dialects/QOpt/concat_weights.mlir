// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// Weights below each other are one weight.

// CHECK-LABEL: @concat
func.func @concat(%q: !qopt.weight<8x64, int4_g32>, %k: !qopt.weight<4x64, int4_g32>) -> !qopt.weight<12x64, int4_g32> {
  // CHECK: qopt.concat_weights {{.*}} -> !qopt.weight<12x64, int4_g32>
  %qk = qopt.concat_weights %q, %k : !qopt.weight<8x64, int4_g32>, !qopt.weight<4x64, int4_g32> -> !qopt.weight<12x64, int4_g32>
  return %qk : !qopt.weight<12x64, int4_g32>
}
