// RUN: qopt-opt %s -qopt-cut-layers | FileCheck %s
// Of a graph what passes from layer to layer has a name that no input has, and the sizes that the inputs give it: a sum of
// sizes, or none where an input of ids has as many axes by chance.

// CHECK-LABEL: @segment_0
// CHECK-SAME: -> (tensor<?x?x8xf32> {qopt.name = "hidden_"})

// CHECK-LABEL: @segment_1
// CHECK-SAME: (%[[IN:.*]]: tensor<?x?x8xf32> {onnx.dims = ["batch", "patches + 1", 8], qopt.name = "hidden_"}, %[[MASK:.*]]: tensor<?x?xf32> {onnx.dims = ["batch", "patches + 1"], qopt.name = "hidden"})
// CHECK: qopt.attention
// CHECK: qopt.linear
// CHECK-NOT: @segment_2
func.func @model(%class: tensor<?x1x8xf32> {onnx.dims = ["batch", 1, 8], qopt.name = "class"}, %x: tensor<?x?x8xf32> {onnx.dims = ["batch", "patches", 8], qopt.name = "x"}, %hidden: tensor<?x?xf32> {onnx.dims = ["batch", "patches + 1"], qopt.name = "hidden"}, %ids: tensor<?x?xi64> {onnx.dims = ["batch", "words"], qopt.name = "ids"}) -> tensor<?x?x8xf32> {
  %w = qopt.weight "w" codes(dense<0.25> : tensor<8x8xf32>) : !qopt.weight<8x8, f32>
  %all = onnx.Concat %class, %x {axis = 1 : i64} : (tensor<?x1x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %h = qopt.linear %all, %w : tensor<?x?x8xf32>, !qopt.weight<8x8, f32> -> tensor<?x?x8xf32>
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %b = tensor.dim %hidden, %c0 : tensor<?x?xf32>
  %n = tensor.dim %hidden, %c1 : tensor<?x?xf32>
  %q = tensor.expand_shape %h [[0], [1], [2, 3]] output_shape [%b, %n, 1, 8] : tensor<?x?x8xf32> into tensor<?x?x1x8xf32>
  %k = tensor.expand_shape %h [[0], [1, 2], [3]] output_shape [%b, 1, %n, 8] : tensor<?x?x8xf32> into tensor<?x1x?x8xf32>
  %m = tensor.expand_shape %hidden [[0, 1, 2], [3]] output_shape [%b, 1, 1, %n] : tensor<?x?xf32> into tensor<?x1x1x?xf32>
  %a = qopt.attention %q, %k, %k mask(%m : tensor<?x1x1x?xf32>) scale 0.5 : tensor<?x?x1x8xf32>, tensor<?x1x?x8xf32>, tensor<?x1x?x8xf32> -> tensor<?x?x1x8xf32>
  %f = tensor.collapse_shape %a [[0], [1], [2, 3]] : tensor<?x?x1x8xf32> into tensor<?x?x8xf32>
  %o = qopt.linear %f, %w : tensor<?x?x8xf32>, !qopt.weight<8x8, f32> -> tensor<?x?x8xf32>
  %sum = arith.addf %h, %o : tensor<?x?x8xf32>
  return %sum : tensor<?x?x8xf32>
}
