// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// The sizes of a ragged batch are values.

// CHECK-LABEL: @sizes
func.func @sizes(%batch: !qopt.batch) -> (index, index) {
  // CHECK: qopt.batch_dim %{{.*}} tokens
  %n = qopt.batch_dim %batch tokens
  // CHECK: qopt.batch_dim %{{.*}} selected
  %m = qopt.batch_dim %batch selected
  return %n, %m : index, index
}
