// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// rsqrt: reciprocal square root, approximated.

// CHECK-LABEL: func.func @example
func.func @example(%x: f32) {
  // CHECK: {{%[^ ,()]+}} = ptx.rsqrt {{%[^ ,()]+}} : f32
  %y = ptx.rsqrt %x : f32
  return
}
