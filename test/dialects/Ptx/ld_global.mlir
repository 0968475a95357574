// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// ld_global: registers from global memory, with cache hints.

// CHECK-LABEL: func.func @example
func.func @example(%weights: !llvm.ptr<1>, %once: i64) {
  // CHECK: {{%[^ ,()]+}} = ptx.ld_global nc l1 no_allocate {{%[^ ,()]+}} policy({{%[^ ,()]+}}) : i32, i32, i32, i32
  %w:4 = ptx.ld_global nc l1 no_allocate %weights policy(%once) : i32, i32, i32, i32
  return
}
