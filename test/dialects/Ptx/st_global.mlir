// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// st_global: registers to global memory, with cache hints.

// CHECK-LABEL: func.func @example
func.func @example(%out: !llvm.ptr<1>, %once: i64, %w0: f32, %w1: f32) {
  // CHECK: ptx.st_global l1 evict_first {{%[^ ,()]+}} policy({{%[^ ,()]+}}) words({{%[^ ,()]+}}, {{%[^ ,()]+}}) : f32, f32
  ptx.st_global l1 evict_first %out policy(%once) words(%w0, %w1) : f32, f32
  return
}
