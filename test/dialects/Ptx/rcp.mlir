// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// rcp: reciprocal, approximated.

// CHECK-LABEL: func.func @example
func.func @example(%x: f32) {
  // CHECK: {{%[^ ,()]+}} = ptx.rcp {{%[^ ,()]+}} : f32
  %y = ptx.rcp %x : f32
  return
}
