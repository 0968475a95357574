// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// create_policy: policy of the second-level cache, for other ops.

// CHECK-LABEL: func.func @example
func.func @example() {
  // CHECK: {{%[^ ,()]+}} = ptx.create_policy evict_first
  %once = ptx.create_policy evict_first
  return
}
