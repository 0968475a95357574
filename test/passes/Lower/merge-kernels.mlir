// Equal work is one kernel with each size once.
// RUN: qopt-opt %s -qopt-lower-stage | FileCheck %s

// CHECK-LABEL: func @twice
// CHECK: qopt.generated @kernels::@kernel_0(%{{.*}}, %{{.*}}) sizes(%[[N:.*]]) result_sizes [0]
// CHECK: qopt.generated @kernels::@kernel_0(%{{.*}}, %{{.*}}) sizes(%[[N]]) result_sizes [0]
// CHECK: func.func @kernel_0
// CHECK-NOT: func.func @kernel_1
func.func @twice(%x: tensor<?x4xf32> {onnx.dims = ["n", 4]}, %y: tensor<?x4xf32> {onnx.dims = ["n", 4]})
    -> (tensor<?x4xf32>, tensor<?x4xf32>) {
  %a = onnx.Add %x, %y : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %b = onnx.Add %a, %y : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %a, %b : tensor<?x4xf32>, tensor<?x4xf32>
}
