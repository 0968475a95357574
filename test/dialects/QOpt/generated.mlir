// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// A generated kernel is called with tensors and sizes; sizes of its results are among them.

module @kernels {
  func.func @kernel_0(%x: memref<f32>, %y: memref<f32>, %n: index, %begin: index, %end: index) {
    return
  }
}

// CHECK-LABEL: @generated
func.func @generated(%x: tensor<?x4xf32>, %n: index) -> tensor<?x4xf32> {
  // CHECK: qopt.generated @kernels::@kernel_0(%{{.*}}) sizes(%{{.*}}) result_sizes [0] : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %y = qopt.generated @kernels::@kernel_0(%x) sizes(%n) result_sizes [0] : (tensor<?x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
