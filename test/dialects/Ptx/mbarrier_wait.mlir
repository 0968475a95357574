// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// mbarrier_wait: wait until a barrier's phase is complete.

// CHECK-LABEL: func.func @example
func.func @example(%barrier: !llvm.ptr<3>, %parity: i32) {
  // CHECK: ptx.mbarrier_wait {{%[^ ,()]+}}, {{%[^ ,()]+}}
  ptx.mbarrier_wait %barrier, %parity
  return
}
