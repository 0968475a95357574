// RUN: qopt-opt %s -qopt-raise-attention | FileCheck %s
// onnx.Attention becomes qopt.attention; what that has no word for is a mask.

// CHECK-LABEL: func @operator
// CHECK: qopt.attention %{{.*}}, %arg1, %arg2 scale 2.500000e-01 causal
func.func @operator(%q: tensor<1x4x8x16xf32>, %k: tensor<1x2x8x16xf32>, %v: tensor<1x2x8x16xf32>) -> tensor<1x4x8x16xf32> {
  %none = onnx.None
  %y, %pk, %pv, %qk = onnx.Attention %q, %k, %v, %none, %none, %none, %none {is_causal = true}
      : (tensor<1x4x8x16xf32>, tensor<1x2x8x16xf32>, tensor<1x2x8x16xf32>, none, none, none, none) -> (tensor<1x4x8x16xf32>, none, none, none)
  return %y : tensor<1x4x8x16xf32>
}

// Without past keys ONNX counts the causal edge from the first key; qopt.attention from the last one, so it is a mask.
// CHECK-LABEL: func @causal_from_first_key
// CHECK: %[[BEHIND:.*]] = onnx.Sub
// CHECK: %[[SEEN:.*]] = onnx.LessOrEqual %[[BEHIND]]
// CHECK: %[[MASK:.*]] = onnx.Unsqueeze %[[SEEN]]
// CHECK: qopt.attention %{{.*}}, %arg1, %arg2 mask(%[[MASK]] : tensor<1x1x?x?xi1>) scale 2.500000e-01 :
func.func @causal_from_first_key(%q: tensor<1x4x8x16xf32>, %k: tensor<1x2x9x16xf32>, %v: tensor<1x2x9x16xf32>) -> tensor<1x4x8x16xf32> {
  %none = onnx.None
  %y, %pk, %pv, %qk = onnx.Attention %q, %k, %v, %none, %none, %none, %none {is_causal = true}
      : (tensor<1x4x8x16xf32>, tensor<1x2x9x16xf32>, tensor<1x2x9x16xf32>, none, none, none, none) -> (tensor<1x4x8x16xf32>, none, none, none)
  return %y : tensor<1x4x8x16xf32>
}

// With a past the edge is the last key's only where there are as many new keys as queries.
// CHECK-LABEL: func @more_keys_than_queries
// CHECK: qopt.attention {{.*}} mask({{.*}}) scale 2.500000e-01 :
func.func @more_keys_than_queries(%q: tensor<1x4x8x16xf32>, %k: tensor<1x4x9x16xf32>, %v: tensor<1x4x9x16xf32>, %past: tensor<1x4x3x16xf32>) -> tensor<1x4x8x16xf32> {
  %none = onnx.None
  %y, %pk, %pv, %qk = onnx.Attention %q, %k, %v, %none, %past, %past, %none {is_causal = true}
      : (tensor<1x4x8x16xf32>, tensor<1x4x9x16xf32>, tensor<1x4x9x16xf32>, none, tensor<1x4x3x16xf32>, tensor<1x4x3x16xf32>, none) -> (tensor<1x4x8x16xf32>, none, none, none)
  return %y : tensor<1x4x8x16xf32>
}

// A window on the left of a causal edge counts the query's own key, too; nothing on the right is a causal edge.
// CHECK-LABEL: func @window
// CHECK: qopt.attention %{{.*}}, %arg1, %arg2 scale 2.500000e-01 causal window 5
func.func @window(%q: tensor<1x4x8x16xf32>, %k: tensor<1x4x8x16xf32>, %v: tensor<1x4x8x16xf32>) -> tensor<1x4x8x16xf32> {
  %none = onnx.None
  %y, %pk, %pv, %qk = onnx.Attention %q, %k, %v, %none, %none, %none, %none {left_window_size = 4 : i64, right_window_size = 0 : i64}
      : (tensor<1x4x8x16xf32>, tensor<1x4x8x16xf32>, tensor<1x4x8x16xf32>, none, none, none, none) -> (tensor<1x4x8x16xf32>, none, none, none)
  return %y : tensor<1x4x8x16xf32>
}

// Both sides are a mask, and meet one that the file has.
// CHECK-LABEL: func @window_of_both_sides
// CHECK: onnx.LessOrEqual
// CHECK: onnx.GreaterOrEqual
// CHECK: onnx.Where %{{.*}}, %arg3
// CHECK: qopt.attention {{.*}} mask({{.*}}xf32>) scale 2.500000e-01 :
func.func @window_of_both_sides(%q: tensor<1x4x8x16xf32>, %k: tensor<1x4x8x16xf32>, %v: tensor<1x4x8x16xf32>, %mask: tensor<8x8xf32>) -> tensor<1x4x8x16xf32> {
  %none = onnx.None
  %y, %pk, %pv, %qk = onnx.Attention %q, %k, %v, %mask, %none, %none, %none {left_window_size = 4 : i64, right_window_size = 1 : i64}
      : (tensor<1x4x8x16xf32>, tensor<1x4x8x16xf32>, tensor<1x4x8x16xf32>, tensor<8x8xf32>, none, none, none) -> (tensor<1x4x8x16xf32>, none, none, none)
  return %y : tensor<1x4x8x16xf32>
}

// The cache is padded behind each sequence's own tokens.
// CHECK-LABEL: func @lengths
// CHECK: %[[COUNTS:.*]] = onnx.Unsqueeze %arg3
// CHECK: onnx.Less %{{.*}}, %[[COUNTS]]
// CHECK: qopt.attention {{.*}} mask({{.*}}xi1>) scale 2.500000e-01 :
func.func @lengths(%q: tensor<2x4x8x16xf32>, %k: tensor<2x4x20x16xf32>, %v: tensor<2x4x20x16xf32>, %lengths: tensor<2xi64>) -> tensor<2x4x8x16xf32> {
  %none = onnx.None
  %y, %pk, %pv, %qk = onnx.Attention %q, %k, %v, %none, %none, %none, %lengths
      : (tensor<2x4x8x16xf32>, tensor<2x4x20x16xf32>, tensor<2x4x20x16xf32>, none, none, none, tensor<2xi64>) -> (tensor<2x4x8x16xf32>, none, none, none)
  return %y : tensor<2x4x8x16xf32>
}

// Values may have another size than keys; scores that are asked for are spelt out beside.
// CHECK-LABEL: func @scores
// CHECK: %[[PRODUCT:.*]] = onnx.MatMul
// CHECK: onnx.Softmax
// CHECK: onnx.IsNaN
// CHECK: qopt.attention {{.*}} -> tensor<1x8x4x24xf32>
func.func @scores(%q: tensor<1x4x8x16xf32>, %k: tensor<1x2x9x16xf32>, %v: tensor<1x2x9x24xf32>) -> (tensor<1x4x8x24xf32>, tensor<1x4x8x9xf32>) {
  %none = onnx.None
  %y, %pk, %pv, %qk = onnx.Attention %q, %k, %v, %none, %none, %none, %none {qk_matmul_output_mode = 3 : i64}
      : (tensor<1x4x8x16xf32>, tensor<1x2x9x16xf32>, tensor<1x2x9x24xf32>, none, none, none, none) -> (tensor<1x4x8x24xf32>, none, none, tensor<1x4x8x9xf32>)
  return %y, %qk : tensor<1x4x8x24xf32>, tensor<1x4x8x9xf32>
}
