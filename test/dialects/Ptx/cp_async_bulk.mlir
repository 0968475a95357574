// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// cp_async_bulk: a run of bytes copied to shared memory in time.

// CHECK-LABEL: func.func @example
func.func @example(%destination: !llvm.ptr<3>, %source: !llvm.ptr<1>, %bytes: i32, %barrier: !llvm.ptr<3>, %once: i64) {
  // CHECK: ptx.cp_async_bulk {{%[^ ,()]+}}, {{%[^ ,()]+}}, {{%[^ ,()]+}}, {{%[^ ,()]+}} policy({{%[^ ,()]+}})
  ptx.cp_async_bulk %destination, %source, %bytes, %barrier policy(%once)
  return
}
