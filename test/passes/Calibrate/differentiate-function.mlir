// RUN: qopt-opt %s --pass-pipeline='builtin.module(func.func(qopt-differentiate-function))' --split-input-file | FileCheck %s
// A function that takes the gradient of its result and gives those of its argument and of its linears.

// Two linears read one tensor, which is one result; both add to its gradient.
// CHECK-LABEL: func.func @projections
// CHECK-SAME: (%[[X:.*]]: tensor<?x8xf32> {qopt.name = "x"}, %[[G:.*]]: tensor<?x4xf32> {qopt.name = "y.gradient"})
// CHECK-SAME: tensor<?x8xf32> {qopt.name = "x.gradient", qopt.observation = #qopt.observation<argument_gradient of [0]>}
// CHECK-SAME: tensor<?x8xf32> {qopt.name = "a.input", qopt.observation = #qopt.observation<input of ["a", "b"]>}
// CHECK-SAME: tensor<?x4xf32> {qopt.name = "a.output_gradient", qopt.observation = #qopt.observation<output_gradient of ["a"]>}
// CHECK-SAME: tensor<?x4xf32> {qopt.name = "b.output_gradient", qopt.observation = #qopt.observation<output_gradient of ["b"]>}
func.func @projections(%x: tensor<?x8xf32> {qopt.name = "x"}) -> (tensor<?x4xf32> {qopt.name = "y"}) {
  %a = qopt.weight "a" codes(dense<1.0> : tensor<4x8xf16>) : !qopt.weight<4x8, f16>
  %b = qopt.weight "b" codes(dense<1.0> : tensor<4x8xf32>) : !qopt.weight<4x8, f32>
  %gate = qopt.linear %x, %a : tensor<?x8xf32>, !qopt.weight<4x8, f16> -> tensor<?x4xf32>
  %up = qopt.linear %x, %b : tensor<?x8xf32>, !qopt.weight<4x8, f32> -> tensor<?x4xf32>
  // CHECK-DAG: %[[A:.*]] = qopt.transpose_weight {{.*}} -> !qopt.weight<8x4, f16>
  // CHECK-DAG: %[[B:.*]] = qopt.transpose_weight {{.*}} -> !qopt.weight<8x4, f32>
  // CHECK-DAG: %[[OfA:.*]] = qopt.linear %{{.*}}, %[[A]] : tensor<?x4xf32>
  // CHECK-DAG: %[[OfB:.*]] = qopt.linear %{{.*}}, %[[B]] : tensor<?x4xf32>
  // CHECK: %[[Sum:.*]] = arith.addf %[[OfB]], %[[OfA]]
  // CHECK: return %[[Sum]], %[[X]], %{{.*}}, %{{.*}} :
  %y = qopt.gated_activation silu %gate, %up : tensor<?x4xf32> -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// Inputs of the model have no gradient, whatever reads them.

// CHECK-LABEL: func.func @inputs
// CHECK-SAME: -> (tensor<?x8xf32> {qopt.name = "a.input"
// CHECK-NOT: argument_gradient
// CHECK: return
func.func @inputs(%x: tensor<?x8xf32> {qopt.name = "x", qopt.no_gradient}) -> (tensor<?x4xf32> {qopt.name = "y"}) {
  %a = qopt.weight "a" codes(dense<0.5> : tensor<4x8xf32>) : !qopt.weight<4x8, f32>
  // No rule is needed for what is ahead of the first linear.
  %c = onnx.Ceil %x : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %y = qopt.linear %c, %a : tensor<?x8xf32>, !qopt.weight<4x8, f32> -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// The sizes of the gradient that is given are asked to be the result's.
// CHECK-LABEL: func.func @sizes
// CHECK: qopt.require equal
func.func @sizes(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %y = qopt.activation relu %x : tensor<?x8xf32> -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// Rounding passes a gradient through; a linear has read what the codes stand for.
// CHECK-LABEL: func.func @rounded
func.func @rounded(%x: tensor<?x32xf32>) -> tensor<?x4xf32> {
  // CHECK: %[[Q:.*]] = qopt.quantize %
  // CHECK: %[[Back:.*]] = qopt.linear %{{.*}}, %{{.*}} -> tensor<?x32xf32>
  // CHECK: %[[Read:.*]] = qopt.dequantize %[[Q]]
  // CHECK: return %[[Back]], %[[Read]], %{{.*}}
  %w = qopt.weight "w" codes(dense<1.0> : tensor<4x32xf32>) : !qopt.weight<4x32, f32>
  %codes = qopt.quantize_weight %w rtn : !qopt.weight<4x32, f32> -> !qopt.weight<4x32, int8>
  %q = qopt.quantize %x : tensor<?x32xf32> -> !qopt.quantized<?x32, int8_g32_sf32>
  %y = qopt.linear %q, %codes : !qopt.quantized<?x32, int8_g32_sf32>, !qopt.weight<4x32, int8> -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// Keys and values are results, as attention reads them; the mask has no gradient.
// CHECK-LABEL: func.func @attention
// CHECK-SAME: argument_gradient of [0]
// CHECK-SAME: argument_gradient of [1]
// CHECK-SAME: <key of [0]>
// CHECK-SAME: key_gradient of [0]
// CHECK-SAME: <value of [0]>
// CHECK-SAME: value_gradient of [0]
func.func @attention(%q: tensor<1x?x4x8xf32>, %k: tensor<1x2x?x8xf32>, %mask: tensor<?x?xf32>) -> tensor<1x?x4x8xf32> {
  // CHECK: %[[DQ:.*]], %[[DK:.*]], %[[DV:.*]] = qopt.attention_gradient {{.*}} mask(%{{.*}} : tensor<?x?xf32>)
  // CHECK: %[[Keys:.*]] = arith.addf %[[DK]], %[[DV]]
  // CHECK: return %[[DQ]], %[[Keys]], %{{.*}}, %[[DK]], %{{.*}}, %[[DV]] :
  %y = qopt.attention %q, %k, %k mask(%mask : tensor<?x?xf32>) scale 0.5 : tensor<1x?x4x8xf32>, tensor<1x2x?x8xf32>, tensor<1x2x?x8xf32> -> tensor<1x?x4x8xf32>
  return %y : tensor<1x?x4x8xf32>
}

// -----

// Ids have no gradient: they are a result of their own, beside the gradient of the rows that they look up.
// CHECK-LABEL: func.func @embedding
// CHECK-SAME: -> (tensor<?xi32> {qopt.name = "table.lookup", qopt.observation = #qopt.observation<lookup of ["table"]>}
// CHECK-SAME: tensor<?x8xf32> {{{.*}}output_gradient of ["table"]>}
// CHECK-SAME: tensor<?x8xf32> {{{.*}}input of ["w"]>}, tensor<?x4xf32> {{{.*}}output_gradient of ["w"]>})
func.func @embedding(%ids: tensor<?xi32>) -> tensor<?x4xf32> {
  // CHECK: %[[Transposed:.*]] = qopt.transpose_weight
  // CHECK: qopt.linear %{{.*}}, %[[Transposed]]
  %table = qopt.weight "table" codes(dense<1.0> : tensor<16x8xf32>) : !qopt.weight<16x8, f32>
  %w = qopt.weight "w" codes(dense<1.0> : tensor<4x8xf32>) : !qopt.weight<4x8, f32>
  %x = qopt.embedding %ids, %table : tensor<?xi32>, !qopt.weight<16x8, f32> -> tensor<?x8xf32>
  %y = qopt.linear %x, %w : tensor<?x8xf32>, !qopt.weight<4x8, f32> -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
