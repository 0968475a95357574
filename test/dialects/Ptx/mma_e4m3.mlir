// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// mma_e4m3: products of fp8 matrices, 16 × 32 and 32 × 8, by a warp.

// CHECK-LABEL: func.func @example
func.func @example(%a0: i32, %a1: i32, %a2: i32, %a3: i32, %b0: i32, %b1: i32, %c0: f32, %c1: f32, %c2: f32, %c3: f32) {
  // CHECK: {{%[^ ,()]+}} = ptx.mma_e4m3 a({{%[^ ,()]+}}, {{%[^ ,()]+}}, {{%[^ ,()]+}}, {{%[^ ,()]+}}) b({{%[^ ,()]+}}, {{%[^ ,()]+}}) c({{%[^ ,()]+}}, {{%[^ ,()]+}}, {{%[^ ,()]+}}, {{%[^ ,()]+}})
  %d:4 = ptx.mma_e4m3 a(%a0, %a1, %a2, %a3) b(%b0, %b1) c(%c0, %c1, %c2, %c3)
  return
}
