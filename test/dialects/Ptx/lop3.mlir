// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// lop3: any bitwise function of three words.

// CHECK-LABEL: func.func @example
func.func @example(%word: i32, %mask: i32, %magic: i32) {
  // CHECK: {{%[^ ,()]+}} = ptx.lop3 {{%[^ ,()]+}}, {{%[^ ,()]+}}, {{%[^ ,()]+}} table 234
  %codes = ptx.lop3 %word, %mask, %magic table 234
  return
}
