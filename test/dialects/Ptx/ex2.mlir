// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// ex2: two to the power of x, approximated.

// CHECK-LABEL: func.func @example
func.func @example(%x: vector<2xf16>) {
  // CHECK: {{%[^ ,()]+}} = ptx.ex2 {{%[^ ,()]+}} : vector<2xf16>
  %y = ptx.ex2 %x : vector<2xf16>
  return
}
