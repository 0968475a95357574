// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// lg2: logarithm to base two, approximated.

// CHECK-LABEL: func.func @example
func.func @example(%x: f32) {
  // CHECK: {{%[^ ,()]+}} = ptx.lg2 {{%[^ ,()]+}} : f32
  %y = ptx.lg2 %x : f32
  return
}
