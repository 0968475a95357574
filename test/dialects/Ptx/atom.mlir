// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// atom: atomic update that returns the old value.

// CHECK-LABEL: func.func @example
func.func @example(%counter: !llvm.ptr<1>, %last: i32) {
  // CHECK: {{%[^ ,()]+}} = ptx.atom inc acq_rel gpu {{%[^ ,()]+}}, {{%[^ ,()]+}} : !llvm.ptr<1>, i32
  %before = ptx.atom inc acq_rel gpu %counter, %last : !llvm.ptr<1>, i32
  return
}
