// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// cvt_rni_s32: nearest integer, ties to even, saturated.

// CHECK-LABEL: func.func @example
func.func @example(%x: f32) {
  // CHECK: {{%[^ ,()]+}} = ptx.cvt_rni_s32 {{%[^ ,()]+}}
  %code = ptx.cvt_rni_s32 %x
  return
}
