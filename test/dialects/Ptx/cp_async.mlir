// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// cp_async: up to 16 bytes copied to shared memory in time.

// CHECK-LABEL: func.func @example
func.func @example(%destination: !llvm.ptr<3>, %source: !llvm.ptr<1>, %n: i32, %once: i64) {
  // CHECK: ptx.cp_async 16 {{%[^ ,()]+}}, {{%[^ ,()]+}} present({{%[^ ,()]+}}) policy({{%[^ ,()]+}})
  ptx.cp_async 16 %destination, %source present(%n) policy(%once)
  return
}
