// RUN: qopt-opt %s -qopt-cut-layers | FileCheck %s
// A graph of two layers becomes four functions; between them passes what the layers add to.

// CHECK-LABEL: @segment_0
// CHECK-SAME: (%[[TOKENS:.*]]: tensor<?xi32> {onnx.dims = ["tokens"], qopt.name = "tokens"}) -> (tensor<?x8xf32> {qopt.name = "hidden"})
// CHECK: qopt.embedding %[[TOKENS]]
// CHECK-NOT: qopt.rms_norm

// CHECK-LABEL: @segment_1
// CHECK-SAME: (%[[HIDDEN:.*]]: tensor<?x8xf32> {onnx.dims = ["tokens", 8], qopt.name = "hidden"}, %{{.*}} {onnx.dims = ["tokens"], qopt.name = "tokens"}, %[[POSITIONS:.*]]: tensor<?xi32> {onnx.dims = ["tokens"], qopt.name = "positions"}) -> (tensor<?x8xf32> {qopt.name = "hidden"})
// Constants and tables are computed again.
// CHECK: qopt.rotary_table %[[POSITIONS]]
// CHECK: qopt.attention
// CHECK: qopt.linear
// CHECK: %[[SUM:.*]] = arith.addf %[[HIDDEN]]
// CHECK: return %[[SUM]]

// CHECK-LABEL: @segment_2
// CHECK: qopt.rotary_table
// CHECK: qopt.attention

// What is behind the layers begins with its norm.
// CHECK-LABEL: @segment_3
// CHECK-SAME: -> (tensor<?x16xf32> {qopt.name = "logits"})
// CHECK: qopt.rms_norm
// CHECK: qopt.linear
// CHECK-NOT: @segment_4
func.func @model(%tokens: tensor<?xi32> {onnx.dims = ["tokens"], qopt.name = "tokens"}, %positions: tensor<?xi32> {onnx.dims = ["tokens"], qopt.name = "positions"}) -> (tensor<?x16xf32> {qopt.name = "logits"}) {
  %table = qopt.weight "table" codes(dense<0.5> : tensor<16x8xf32>) : !qopt.weight<16x8, f32>
  %w = qopt.weight "w" codes(dense<0.25> : tensor<8x8xf32>) : !qopt.weight<8x8, f32>
  %scale = arith.constant dense<1.0> : tensor<8xf32>
  %freq = arith.constant dense<1.0> : tensor<4xf32>
  %c0 = arith.constant 0 : index
  %n = tensor.dim %tokens, %c0 : tensor<?xi32>
  %cos, %sin = qopt.rotary_table %positions, %freq scale 1.0 : tensor<?xi32>, tensor<4xf32> -> tensor<?x4xf32>
  %h0 = qopt.embedding %tokens, %table : tensor<?xi32>, !qopt.weight<16x8, f32> -> tensor<?x8xf32>

  %n0 = qopt.rms_norm %h0, %scale epsilon 1.0e-05 : tensor<?x8xf32>, tensor<8xf32> -> tensor<?x8xf32>
  %e0 = tensor.expand_shape %n0 [[0, 1, 2], [3]] output_shape [1, %n, 1, 8] : tensor<?x8xf32> into tensor<1x?x1x8xf32>
  %r0 = qopt.rotary %e0, %cos, %sin : tensor<1x?x1x8xf32>, tensor<?x4xf32>
  %k0 = tensor.expand_shape %n0 [[0, 1, 2], [3]] output_shape [1, 1, %n, 8] : tensor<?x8xf32> into tensor<1x1x?x8xf32>
  %a0 = qopt.attention %r0, %k0, %k0 scale 0.5 causal : tensor<1x?x1x8xf32>, tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> tensor<1x?x1x8xf32>
  %f0 = tensor.collapse_shape %a0 [[0, 1, 2], [3]] : tensor<1x?x1x8xf32> into tensor<?x8xf32>
  %o0 = qopt.linear %f0, %w : tensor<?x8xf32>, !qopt.weight<8x8, f32> -> tensor<?x8xf32>
  %h1 = arith.addf %h0, %o0 : tensor<?x8xf32>

  %n1 = qopt.rms_norm %h1, %scale epsilon 1.0e-05 : tensor<?x8xf32>, tensor<8xf32> -> tensor<?x8xf32>
  %e1 = tensor.expand_shape %n1 [[0, 1, 2], [3]] output_shape [1, %n, 1, 8] : tensor<?x8xf32> into tensor<1x?x1x8xf32>
  %r1 = qopt.rotary %e1, %cos, %sin : tensor<1x?x1x8xf32>, tensor<?x4xf32>
  %k1 = tensor.expand_shape %n1 [[0, 1, 2], [3]] output_shape [1, 1, %n, 8] : tensor<?x8xf32> into tensor<1x1x?x8xf32>
  %a1 = qopt.attention %r1, %k1, %k1 scale 0.5 causal : tensor<1x?x1x8xf32>, tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32> -> tensor<1x?x1x8xf32>
  %f1 = tensor.collapse_shape %a1 [[0, 1, 2], [3]] : tensor<1x?x1x8xf32> into tensor<?x8xf32>
  %o1 = qopt.linear %f1, %w : tensor<?x8xf32>, !qopt.weight<8x8, f32> -> tensor<?x8xf32>
  %h2 = arith.addf %h1, %o1 : tensor<?x8xf32>

  %last = qopt.rms_norm %h2, %scale epsilon 1.0e-05 : tensor<?x8xf32>, tensor<8xf32> -> tensor<?x8xf32>
  %logits = qopt.linear %last, %table : tensor<?x8xf32>, !qopt.weight<16x8, f32> -> tensor<?x16xf32>
  return %logits : tensor<?x16xf32>
}
