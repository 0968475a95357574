// A loop that inserts into the tensor it carries is one undivided kernel: it copies, then stores.
// RUN: qopt-opt %s -qopt-outline-kernels | FileCheck %s

// CHECK-LABEL: func @insert
// CHECK: qopt.generated @kernels::@kernel_0
// CHECK-NOT: scf.for
// CHECK: func.func @kernel_0
// CHECK-SAME: qopt.undivided
// CHECK: scf.if
// CHECK-COUNT-2: memref.store
func.func @insert(%x: tensor<8xf32>, %u: tensor<3xf32>) -> tensor<8xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %y = scf.for %i = %c0 to %c3 step %c1 iter_args(%t = %x) -> tensor<8xf32> {
    %e = tensor.extract %u[%i] : tensor<3xf32>
    %n = tensor.insert %e into %t[%i] : tensor<8xf32>
    scf.yield %n : tensor<8xf32>
  }
  return %y : tensor<8xf32>
}
