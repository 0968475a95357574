// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// st_release: store that comes after earlier accesses.

// CHECK-LABEL: func.func @example
func.func @example(%flag: !llvm.ptr<1>, %one: i32) {
  // CHECK: ptx.st_release gpu {{%[^ ,()]+}}, {{%[^ ,()]+}} : !llvm.ptr<1>, i32
  ptx.st_release gpu %flag, %one : !llvm.ptr<1>, i32
  return
}
