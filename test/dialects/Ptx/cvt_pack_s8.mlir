// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// cvt_pack_s8: two integers as saturated bytes before two others.

// CHECK-LABEL: func.func @example
func.func @example(%a: i32, %b: i32, %low: i32) {
  // CHECK: {{%[^ ,()]+}} = ptx.cvt_pack_s8 {{%[^ ,()]+}}, {{%[^ ,()]+}}, {{%[^ ,()]+}}
  %word = ptx.cvt_pack_s8 %a, %b, %low
  return
}
