// Elements of less than a byte have one each in buffers: signed ones keep their sign there, codes of floats their bits.
// RUN: qopt-opt %s -qopt-outline-kernels | FileCheck %s

#id = affine_map<(d0) -> (d0)>

// CHECK: func.func @kernel_0(%{{.*}}: memref<i8>, %{{.*}}: memref<i8>
// CHECK: ^bb0(%[[IN:.*]]: i8, %{{.*}}: i8)
// CHECK: %[[BITS:.*]] = arith.trunci %[[IN]] : i8 to i4
// CHECK: %[[CODE:.*]] = arith.bitcast %[[BITS]] : i4 to f4E2M1FN
// CHECK: %[[NUMBER:.*]] = arith.bitcast %[[CODE]] : f4E2M1FN to i4
// CHECK: arith.extsi %[[NUMBER]] : i4 to i8
func.func @signed(%x: tensor<4xf4E2M1FN>) -> tensor<4xi4> {
  %init = tensor.empty() : tensor<4xi4>
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : tensor<4xf4E2M1FN>) outs(%init : tensor<4xi4>) {
  ^bb0(%a: f4E2M1FN, %b: i4):
    %c = arith.bitcast %a : f4E2M1FN to i4
    linalg.yield %c : i4
  } -> tensor<4xi4>
  return %y : tensor<4xi4>
}
