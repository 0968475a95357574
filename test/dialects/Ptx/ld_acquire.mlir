// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// ld_acquire: load that later accesses come after.

// CHECK-LABEL: func.func @example
func.func @example(%counter: !llvm.ptr<1>) {
  // CHECK: {{%[^ ,()]+}} = ptx.ld_acquire gpu {{%[^ ,()]+}} : !llvm.ptr<1> -> i32
  %arrived = ptx.ld_acquire gpu %counter : !llvm.ptr<1> -> i32
  return
}
