// RUN: qopt-opt %s -qopt-lower-onnx -split-input-file -verify-diagnostics | FileCheck %s
// LinearAttention: one loop over the tokens of every state, which carries state, what is found and all results.

// Keys of 4 channels, values of 6, two query heads to a state: 4 + 1 + 2 S rows of 6.
// CHECK-LABEL: func @gated_delta
func.func @gated_delta(%q: tensor<?x?x16xf32> {onnx.dims = ["b", "s", 16]}, %k: tensor<?x?x8xf32> {onnx.dims = ["b", "s", 8]},
                       %v: tensor<?x?x12xf32> {onnx.dims = ["b", "s", 12]}, %past: tensor<?x2x4x6xf32> {onnx.dims = ["b", 2, 4, 6]},
                       %decay: tensor<?x?x2xf32> {onnx.dims = ["b", "s", 2]}, %beta: tensor<?x?x1xf32> {onnx.dims = ["b", "s", 1]})
    -> (tensor<?x?x24xf32>, tensor<?x2x4x6xf32>) {
  // CHECK: %[[START:.*]] = linalg.generic {{.*}} outs(%{{.*}} : tensor<?x2x?x6xf32>)
  // CHECK: scf.for {{.*}} iter_args(%{{.*}} = %[[START]])
  // CHECK: math.exp
  // CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<?x?x24xf32>)
  // CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<?x2x4x6xf32>)
  %y, %state = onnx.LinearAttention %q, %k, %v, %past, %decay, %beta {q_num_heads = 4 : i64, kv_num_heads = 2 : i64}
      : (tensor<?x?x16xf32>, tensor<?x?x8xf32>, tensor<?x?x12xf32>, tensor<?x2x4x6xf32>, tensor<?x?x2xf32>, tensor<?x?x1xf32>) -> (tensor<?x?x24xf32>, tensor<?x2x4x6xf32>)
  return %y, %state : tensor<?x?x24xf32>, tensor<?x2x4x6xf32>
}

// -----

// The plain rule neither forgets nor corrects.
// CHECK-LABEL: func @linear
// CHECK-NOT: math.exp
func.func @linear(%q: tensor<2x3x8xf32>, %k: tensor<2x3x8xf32>, %v: tensor<2x3x8xf32>) -> tensor<2x3x8xf32> {
  %none = onnx.None
  %y, %state = onnx.LinearAttention %q, %k, %v, %none, %none, %none {q_num_heads = 2 : i64, kv_num_heads = 2 : i64, update_rule = "linear"}
      : (tensor<2x3x8xf32>, tensor<2x3x8xf32>, tensor<2x3x8xf32>, none, none, none) -> (tensor<2x3x8xf32>, tensor<2x2x4x4xf32>)
  return %y : tensor<2x3x8xf32>
}

// -----

// expected-error@+1 {{the update rule gated has no decay}}
func.func @no_decay(%q: tensor<2x3x8xf32>) -> tensor<2x3x8xf32> {
  %none = onnx.None
  %y, %state = onnx.LinearAttention %q, %q, %q, %none, %none, %none {q_num_heads = 2 : i64, kv_num_heads = 2 : i64, update_rule = "gated"}
      : (tensor<2x3x8xf32>, tensor<2x3x8xf32>, tensor<2x3x8xf32>, none, none, none) -> (tensor<2x3x8xf32>, tensor<2x2x4x4xf32>)
  return %y : tensor<2x3x8xf32>
}

// -----

// expected-error@+1 {{decay has shape [2, 3, 3]; expected 2 or 8 in the last place}}
func.func @other_decay(%q: tensor<2x3x8xf32>, %decay: tensor<2x3x3xf32>) -> tensor<2x3x8xf32> {
  %none = onnx.None
  %y, %state = onnx.LinearAttention %q, %q, %q, %none, %decay, %none {q_num_heads = 2 : i64, kv_num_heads = 2 : i64, update_rule = "gated"}
      : (tensor<2x3x8xf32>, tensor<2x3x8xf32>, tensor<2x3x8xf32>, none, tensor<2x3x3xf32>, none) -> (tensor<2x3x8xf32>, tensor<2x2x4x4xf32>)
  return %y : tensor<2x3x8xf32>
}
