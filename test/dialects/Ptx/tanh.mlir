// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// tanh: hyperbolic tangent, approximated.

// CHECK-LABEL: func.func @example
func.func @example(%x: f32) {
  // CHECK: {{%[^ ,()]+}} = ptx.tanh {{%[^ ,()]+}} : f32
  %y = ptx.tanh %x : f32
  return
}
