// RUN: qopt-opt %s -qopt-observe-attention | FileCheck %s
// Keys are returned as attention reads them and as they are ahead of their rotation, which is found behind views.

// CHECK-LABEL: @layer
// CHECK-SAME: (%[[X:.*]]: tensor<?x8xf32>
// CHECK-SAME: -> (tensor<1x?x1x8xf32> {qopt.name = "hidden"}
// CHECK-SAME: tensor<1x1x?x8xf32> {qopt.name = "attention 0 key", qopt.observation = #qopt.observation<key of [0]>}
// CHECK-SAME: tensor<?x1x8xf32> {qopt.name = "attention 0 key before rotary", qopt.observation = #qopt.observation<key of [0, "before rotary"]>}
// CHECK-SAME: tensor<1x1x?x8xf32> {qopt.name = "attention 0 value", qopt.observation = #qopt.observation<value of [0]>}
// Keys that nobody rotates are observed once.
// CHECK-SAME: tensor<1x1x?x8xf32> {qopt.name = "attention 1 key", qopt.observation = #qopt.observation<key of [1]>}
// CHECK-SAME: tensor<1x1x?x8xf32> {qopt.name = "attention 1 value", qopt.observation = #qopt.observation<value of [1]>})
func.func @layer(%x: tensor<?x8xf32>, %cos: tensor<?x4xf32>, %sin: tensor<?x4xf32>) -> (tensor<1x?x1x8xf32> {qopt.name = "hidden"}) {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?x8xf32>
  // CHECK: %[[HEADS:.*]] = tensor.expand_shape %[[X]]
  %heads = tensor.expand_shape %x [[0], [1, 2]] output_shape [%n, 1, 8] : tensor<?x8xf32> into tensor<?x1x8xf32>
  %r = qopt.rotary %heads, %cos, %sin : tensor<?x1x8xf32>, tensor<?x4xf32>
  %q = tensor.expand_shape %r [[0, 1], [2], [3]] output_shape [1, %n, 1, 8] : tensor<?x1x8xf32> into tensor<1x?x1x8xf32>
  // CHECK: %[[K:.*]] = onnx.Transpose
  %k = onnx.Transpose %q {perm = array<i64: 0, 2, 1, 3>} : (tensor<1x?x1x8xf32>) -> tensor<1x1x?x8xf32>
  // CHECK: %[[V:.*]] = tensor.expand_shape %[[X]]
  %v = tensor.expand_shape %x [[0, 1, 2], [3]] output_shape [1, 1, %n, 8] : tensor<?x8xf32> into tensor<1x1x?x8xf32>
  %a = qopt.attention %q, %k, %v scale 0.5 causal : tensor<1x?x1x8xf32>, tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> tensor<1x?x1x8xf32>
  %b = qopt.attention %a, %v, %v scale 0.5 causal : tensor<1x?x1x8xf32>, tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> tensor<1x?x1x8xf32>
  // CHECK: return %{{.*}}, %[[K]], %[[HEADS]], %[[V]], %[[V]], %[[V]]
  return %b : tensor<1x?x1x8xf32>
}
