// All nodes that cannot be lowered are reported in one error, each with its name and why.
// RUN: not qopt-opt %s -pass-pipeline='builtin.module(func.func(qopt-lower-onnx))' 2>&1 | FileCheck %s

// CHECK: error: cannot compile 2 of the model's nodes
// CHECK: node "/mask/NonZero" (NonZero): is not supported outside of what raising recognises
// CHECK: node "/sum" (CumSum): its axis is no constant
func.func @several(%x: tensor<4x4xf32>, %n: tensor<1xi64>) -> (tensor<2x?xi64>, tensor<4x4xf32>) {
  %a = onnx.NonZero %x : (tensor<4x4xf32>) -> tensor<2x?xi64> loc("/mask/NonZero")
  %b = onnx.CumSum %x, %n : (tensor<4x4xf32>, tensor<1xi64>) -> tensor<4x4xf32> loc("/sum")
  return %a, %b : tensor<2x?xi64>, tensor<4x4xf32>
}

// What reads a tensor whose size only its data tells, too.
// CHECK: error: cannot compile 2 of the model's nodes
// CHECK: node "/part" (Slice): the size of its result depends on the contents of a tensor
// CHECK: node "/total" (ReduceSum): the size of an operand depends on the contents of a tensor
func.func @readers(%x: tensor<?xf32>, %from: tensor<1xi64>, %to: tensor<1xi64>) -> tensor<f32> {
  %none = onnx.None
  %a = onnx.Slice %x, %from, %to, %none, %none : (tensor<?xf32>, tensor<1xi64>, tensor<1xi64>, none, none) -> tensor<?xf32> loc("/part")
  %b = onnx.ReduceSum %a, %none {keepdims = false} : (tensor<?xf32>, none) -> tensor<f32> loc("/total")
  return %b : tensor<f32>
}

// Simplification takes the branch of a constant condition, or both where they have one shape; no other is left.
// CHECK: error: cannot compile 1 of the model's nodes
// CHECK: node "/choice" (If): its condition is no constant, and its branches cannot both be computed
func.func @choice(%flag: tensor<i1>, %x: tensor<4xf32>) -> tensor<4xf32> {
  %y = onnx.If %flag : (tensor<i1>) -> tensor<4xf32> {
    %a = onnx.Neg %x : (tensor<4xf32>) -> tensor<4xf32>
    onnx.Yield %a : tensor<4xf32>
  } else {
    onnx.Yield %x : tensor<4xf32>
  } loc("/choice")
  return %y : tensor<4xf32>
}

// What a fused operator asks that its expansion does not know.
// CHECK: error: cannot compile 2 of the model's nodes
// CHECK: node "/attention" (ms.GroupQueryAttention): smooth_softmax is not supported
// CHECK: node "/turn" (ms.RotaryEmbedding): is_packed_batching and a scale are not supported
func.func @fused(%q: tensor<1x2x96xf32>, %n: tensor<1xi32>, %p: tensor<1x2xi64>, %t: tensor<8x16xf32>) -> (tensor<1x2x32xf32>, tensor<1x2x96xf32>) {
  %none = onnx.None
  %a, %key, %value, %scores = onnx.ms.GroupQueryAttention %q, %none, %none, %none, %none, %n, %n, %none, %none, %none, %none, %none, %none, %none, %none, %none {num_heads = 2 : i64, kv_num_heads = 2 : i64, smooth_softmax = 1 : i64} : (tensor<1x2x96xf32>, none, none, none, none, tensor<1xi32>, tensor<1xi32>, none, none, none, none, none, none, none, none, none) -> (tensor<1x2x32xf32>, none, none, none) loc("/attention")
  %b = onnx.ms.RotaryEmbedding %q, %p, %t, %t {scale = 2.0 : f32} : (tensor<1x2x96xf32>, tensor<1x2xi64>, tensor<8x16xf32>, tensor<8x16xf32>) -> tensor<1x2x96xf32> loc("/turn")
  return %a, %b : tensor<1x2x32xf32>, tensor<1x2x96xf32>
}

// Heads that are not known before the model runs.
// CHECK: error: cannot compile 2 of the model's nodes
// CHECK: node "/turn" (RotaryEmbedding): the number or the size of its heads is not known before it runs; name the dimensions
// CHECK: node "/attend" (Attention): the number or the size of its heads is not known before it runs
func.func @heads(%x: tensor<1x?x4x8xf32>, %t: tensor<1x4x4xf32>) -> (tensor<1x?x4x8xf32>, tensor<1x?x4x8xf32>) {
  %none = onnx.None
  %r = onnx.RotaryEmbedding %x, %t, %t, %none : (tensor<1x?x4x8xf32>, tensor<1x4x4xf32>, tensor<1x4x4xf32>, none) -> tensor<1x?x4x8xf32> loc("/turn")
  %y, %k, %v, %s = onnx.Attention %x, %x, %x, %none, %none, %none, %none : (tensor<1x?x4x8xf32>, tensor<1x?x4x8xf32>, tensor<1x?x4x8xf32>, none, none, none, none) -> (tensor<1x?x4x8xf32>, none, none, none) loc("/attend")
  return %r, %y : tensor<1x?x4x8xf32>, tensor<1x?x4x8xf32>
}
