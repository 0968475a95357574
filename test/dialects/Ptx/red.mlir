// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// red: atomic update whose old value nobody asks for.

// CHECK-LABEL: func.func @example
func.func @example(%counter: !llvm.ptr<1>, %one: i32) {
  // CHECK: ptx.red add release gpu {{%[^ ,()]+}}, {{%[^ ,()]+}} : !llvm.ptr<1>, i32
  ptx.red add release gpu %counter, %one : !llvm.ptr<1>, i32
  return
}
