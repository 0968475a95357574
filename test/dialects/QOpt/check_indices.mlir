// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// RUN: qopt-opt %s -canonicalize | FileCheck %s --check-prefix=UNUSED
// Indices with one limit, and tuples of indices with one each; a check that nothing reads goes.

// CHECK-LABEL: func @check
// CHECK: qopt.check_indices %{{.*}} limits(%{{.*}}) : tensor<?x4xi64>
// CHECK: qopt.check_indices %{{.*}} limits(%{{.*}}, %{{.*}}) from_zero : tensor<?x2xi32>
// UNUSED-LABEL: func @check
// UNUSED: limits
// UNUSED-NOT: limits
func.func @check(%x: tensor<?x4xi64>, %y: tensor<?x2xi32>, %n: index, %m: index) -> tensor<?x4xi64> {
  %i = qopt.check_indices %x limits(%n) : tensor<?x4xi64>
  %j = qopt.check_indices %y limits(%n, %m) from_zero : tensor<?x2xi32>
  return %i : tensor<?x4xi64>
}
