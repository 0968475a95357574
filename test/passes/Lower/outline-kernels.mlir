// A generic becomes a call, its body a kernel on buffers; booleans are bytes there.
// RUN: qopt-opt %s -qopt-outline-kernels | FileCheck %s

#id = affine_map<(d0, d1) -> (d0, d1)>

// CHECK-LABEL: func @less
// CHECK-SAME: (%[[X:.*]]: tensor<?x4xf32>)
// CHECK: %[[N:.*]] = tensor.dim %[[X]]
// CHECK: qopt.generated @kernels::@kernel_0(%[[X]])
// CHECK-SAME: (tensor<?x4xf32>) -> tensor<?x4xi1>
// CHECK: module @kernels
// CHECK: func.func @kernel_0(%{{.*}}: memref<f32>, %[[OUT:.*]]: memref<i8>
// CHECK: memref.reinterpret_cast %[[OUT]]
// CHECK: linalg.generic
// CHECK: arith.extui %{{.*}} : i1 to i8
func.func @less(%x: tensor<?x4xf32>) -> tensor<?x4xi1> {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %n = tensor.dim %x, %c0 : tensor<?x4xf32>
  %init = tensor.empty(%n) : tensor<?x4xi1>
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<?x4xf32>) outs(%init : tensor<?x4xi1>) {
  ^bb0(%a: f32, %b: i1):
    %c = arith.cmpf olt, %a, %zero : f32
    linalg.yield %c : i1
  } -> tensor<?x4xi1>
  return %y : tensor<?x4xi1>
}
