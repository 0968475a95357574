// RUN: qopt-opt %s -qopt-raise-attention | FileCheck %s
// Two products around a softmax are attention, with its mask and its scale; the operator is too.

// CHECK-LABEL: @spelt_out
func.func @spelt_out(%q: tensor<?x8x?x16xf32>, %k: tensor<?x8x?x16xf32>, %v: tensor<?x8x?x16xf32>, %m: tensor<?x1x?x?xf32>) -> tensor<?x8x?x16xf32> {
  // CHECK: %[[Q:.*]] = onnx.Transpose %arg0 {perm = array<i64: 0, 2, 1, 3>}
  // CHECK: %[[Y:.*]] = qopt.attention %[[Q]], %arg1, %arg2 mask(%arg3 : tensor<?x1x?x?xf32>) scale 2.5{{.*}} : tensor<?x?x8x16xf32>
  // CHECK: onnx.Transpose %[[Y]] {perm = array<i64: 0, 2, 1, 3>}
  // CHECK-NOT: onnx.Softmax
  %scale = onnx.Constant dense<0.25> : tensor<f32>
  %kt = onnx.Transpose %k {perm = array<i64: 0, 1, 3, 2>} : (tensor<?x8x?x16xf32>) -> tensor<?x8x16x?xf32>
  %s = onnx.MatMul %q, %kt : (tensor<?x8x?x16xf32>, tensor<?x8x16x?xf32>) -> tensor<?x8x?x?xf32>
  %scaled = onnx.Mul %s, %scale : (tensor<?x8x?x?xf32>, tensor<f32>) -> tensor<?x8x?x?xf32>
  %masked = onnx.Add %scaled, %m : (tensor<?x8x?x?xf32>, tensor<?x1x?x?xf32>) -> tensor<?x8x?x?xf32>
  %p = onnx.Softmax %masked {axis = -1 : i64} : (tensor<?x8x?x?xf32>) -> tensor<?x8x?x?xf32>
  %y = onnx.MatMul %p, %v : (tensor<?x8x?x?xf32>, tensor<?x8x?x16xf32>) -> tensor<?x8x?x16xf32>
  return %y : tensor<?x8x?x16xf32>
}

// A softmax over the queries is something else.
// CHECK-LABEL: @other_axis
func.func @other_axis(%q: tensor<?x8x?x16xf32>, %k: tensor<?x8x16x?xf32>, %v: tensor<?x8x?x16xf32>) -> tensor<?x8x?x16xf32> {
  // CHECK-NOT: qopt.attention
  // CHECK: onnx.Softmax
  %s = onnx.MatMul %q, %k : (tensor<?x8x?x16xf32>, tensor<?x8x16x?xf32>) -> tensor<?x8x?x?xf32>
  %p = onnx.Softmax %s {axis = 2 : i64} : (tensor<?x8x?x?xf32>) -> tensor<?x8x?x?xf32>
  %y = onnx.MatMul %p, %v : (tensor<?x8x?x?xf32>, tensor<?x8x?x16xf32>) -> tensor<?x8x?x16xf32>
  return %y : tensor<?x8x?x16xf32>
}

// torch's decomposition: the square root of the scale on either side, a boolean mask turned into -inf, a guard for rows
// of -inf, two query heads for each key and value head.
// CHECK-LABEL: func @torch_decomposition
// CHECK: qopt.attention %{{.*}}, %arg1, %arg2 mask(%arg3 : tensor<1x1x?x?xf32>) scale 2.500000e-01
// CHECK-NOT: onnx.Softmax
func.func @torch_decomposition(%q: tensor<1x4x?x16xf32> {onnx.dims = [1, 4, "s", 16]}, %k: tensor<1x2x?x16xf32> {onnx.dims = [1, 2, "t", 16]},
                     %v: tensor<1x2x?x16xf32> {onnx.dims = [1, 2, "t", 16]}, %mask: tensor<1x1x?x?xf32> {onnx.dims = [1, 1, "s", "t"]}) -> tensor<1x4x?x16xf32> {
  %two = onnx.Constant dense<2> : tensor<1xi64>
  %half = onnx.Constant dense<0.5> : tensor<f32>
  %zero = onnx.Constant dense<0.0> : tensor<f32>
  %wide = onnx.Constant dense<[1, 2, 2, 1, 16]> : tensor<5xi64>
  %heads = onnx.Constant dense<[1, 4, -1, 16]> : tensor<4xi64>
  %k1 = onnx.Unsqueeze %k, %two : (tensor<1x2x?x16xf32>, tensor<1xi64>) -> tensor<1x2x1x?x16xf32>
  %k2 = onnx.Expand %k1, %wide : (tensor<1x2x1x?x16xf32>, tensor<5xi64>) -> tensor<1x2x2x?x16xf32>
  %k3 = onnx.Reshape %k2, %heads : (tensor<1x2x2x?x16xf32>, tensor<4xi64>) -> tensor<1x4x?x16xf32>
  %v1 = onnx.Unsqueeze %v, %two : (tensor<1x2x?x16xf32>, tensor<1xi64>) -> tensor<1x2x1x?x16xf32>
  %v2 = onnx.Expand %v1, %wide : (tensor<1x2x1x?x16xf32>, tensor<5xi64>) -> tensor<1x2x2x?x16xf32>
  %v3 = onnx.Reshape %v2, %heads : (tensor<1x2x2x?x16xf32>, tensor<4xi64>) -> tensor<1x4x?x16xf32>
  %kt = onnx.Transpose %k3 {perm = array<i64: 0, 1, 3, 2>} : (tensor<1x4x?x16xf32>) -> tensor<1x4x16x?xf32>
  %qs = onnx.Mul %q, %half : (tensor<1x4x?x16xf32>, tensor<f32>) -> tensor<1x4x?x16xf32>
  %ks = onnx.Mul %kt, %half : (tensor<1x4x16x?xf32>, tensor<f32>) -> tensor<1x4x16x?xf32>
  %s = onnx.MatMul %qs, %ks : (tensor<1x4x?x16xf32>, tensor<1x4x16x?xf32>) -> tensor<1x4x?x?xf32>
  %m = onnx.Add %s, %mask : (tensor<1x4x?x?xf32>, tensor<1x1x?x?xf32>) -> tensor<1x4x?x?xf32>
  %p = onnx.Softmax %m : (tensor<1x4x?x?xf32>) -> tensor<1x4x?x?xf32>
  %nan = onnx.IsNaN %p : (tensor<1x4x?x?xf32>) -> tensor<1x4x?x?xi1>
  %guarded = onnx.Where %nan, %zero, %p : (tensor<1x4x?x?xi1>, tensor<f32>, tensor<1x4x?x?xf32>) -> tensor<1x4x?x?xf32>
  %y = onnx.MatMul %guarded, %v3 : (tensor<1x4x?x?xf32>, tensor<1x4x?x16xf32>) -> tensor<1x4x?x16xf32>
  return %y : tensor<1x4x?x16xf32>
}

// Positions of MPNet and T5 are added beside the mask; what is chosen afterwards hides all of it.
// CHECK-LABEL: func @sums_and_choice
// CHECK: %[[SUM:.*]] = onnx.Add %arg3, %arg4
// CHECK: %[[MASK:.*]] = onnx.Where %arg5, %[[SUM]]
// CHECK: qopt.attention %{{.*}}, %arg1, %arg2 mask(%[[MASK]] : tensor<1x4x8x9xf32>) scale 1.000000e+00
// CHECK-NOT: onnx.Softmax
func.func @sums_and_choice(%q: tensor<1x4x8x16xf32>, %k: tensor<1x4x9x16xf32>, %v: tensor<1x4x9x16xf32>, %positions: tensor<4x8x9xf32>,
                           %added: tensor<1x1x1x9xf32>, %shown: tensor<1x1x8x9xi1>) -> tensor<1x4x8x16xf32> {
  %none = onnx.Constant dense<-3.40282347E+38> : tensor<f32>
  %kt = onnx.Transpose %k {perm = array<i64: 0, 1, 3, 2>} : (tensor<1x4x9x16xf32>) -> tensor<1x4x16x9xf32>
  %s = onnx.MatMul %q, %kt : (tensor<1x4x8x16xf32>, tensor<1x4x16x9xf32>) -> tensor<1x4x8x9xf32>
  %a = onnx.Add %positions, %s : (tensor<4x8x9xf32>, tensor<1x4x8x9xf32>) -> tensor<1x4x8x9xf32>
  %b = onnx.Add %a, %added : (tensor<1x4x8x9xf32>, tensor<1x1x1x9xf32>) -> tensor<1x4x8x9xf32>
  %c = onnx.Where %shown, %b, %none : (tensor<1x1x8x9xi1>, tensor<1x4x8x9xf32>, tensor<f32>) -> tensor<1x4x8x9xf32>
  %p = onnx.Softmax %c : (tensor<1x4x8x9xf32>) -> tensor<1x4x8x9xf32>
  %y = onnx.MatMul %p, %v : (tensor<1x4x8x9xf32>, tensor<1x4x9x16xf32>) -> tensor<1x4x8x16xf32>
  return %y : tensor<1x4x8x16xf32>
}

// cap · tanh(scale · scores / cap)
// CHECK-LABEL: func @soft_cap
// CHECK: qopt.attention %{{.*}}, %arg1, %arg2 scale 2.500000e-01 softcap 5.000000e+00
func.func @soft_cap(%q: tensor<1x4x8x16xf32>, %k: tensor<1x4x9x16xf32>, %v: tensor<1x4x9x16xf32>) -> tensor<1x4x8x16xf32> {
  %scale = onnx.Constant dense<0.25> : tensor<f32>
  %cap = onnx.Constant dense<5.0> : tensor<f32>
  %kt = onnx.Transpose %k {perm = array<i64: 0, 1, 3, 2>} : (tensor<1x4x9x16xf32>) -> tensor<1x4x16x9xf32>
  %s = onnx.MatMul %q, %kt : (tensor<1x4x8x16xf32>, tensor<1x4x16x9xf32>) -> tensor<1x4x8x9xf32>
  %a = onnx.Mul %s, %scale : (tensor<1x4x8x9xf32>, tensor<f32>) -> tensor<1x4x8x9xf32>
  %b = onnx.Div %a, %cap : (tensor<1x4x8x9xf32>, tensor<f32>) -> tensor<1x4x8x9xf32>
  %t = qopt.activation tanh %b : tensor<1x4x8x9xf32> -> tensor<1x4x8x9xf32>
  %c = onnx.Mul %t, %cap : (tensor<1x4x8x9xf32>, tensor<f32>) -> tensor<1x4x8x9xf32>
  %p = onnx.Softmax %c : (tensor<1x4x8x9xf32>) -> tensor<1x4x8x9xf32>
  %y = onnx.MatMul %p, %v : (tensor<1x4x8x9xf32>, tensor<1x4x9x16xf32>) -> tensor<1x4x8x16xf32>
  return %y : tensor<1x4x8x16xf32>
}

// The function returns what attention knows of its sizes, which is less than the product knew.
// CHECK-LABEL: func @less_known
// CHECK-SAME: -> tensor<?x8x?x16xf32>
// CHECK: qopt.attention
func.func @less_known(%q: tensor<?x8x?x16xf32>, %k: tensor<2x8x16x?xf32>, %v: tensor<2x8x?x16xf32>) -> tensor<2x8x?x16xf32> {
  %s = onnx.MatMul %q, %k : (tensor<?x8x?x16xf32>, tensor<2x8x16x?xf32>) -> tensor<2x8x?x?xf32>
  %p = onnx.Softmax %s {axis = -1 : i64} : (tensor<2x8x?x?xf32>) -> tensor<2x8x?x?xf32>
  %y = onnx.MatMul %p, %v : (tensor<2x8x?x?xf32>, tensor<2x8x?x16xf32>) -> tensor<2x8x?x16xf32>
  return %y : tensor<2x8x?x16xf32>
}

// Keys of two sequences for queries of one are no attention.
// CHECK-LABEL: func @broadcast_batch
// CHECK-NOT: qopt.attention
// CHECK: onnx.Softmax
func.func @broadcast_batch(%q: tensor<1x8x?x16xf32>, %k: tensor<2x8x16x?xf32>, %v: tensor<2x8x?x16xf32>) -> tensor<2x8x?x16xf32> {
  %s = onnx.MatMul %q, %k : (tensor<1x8x?x16xf32>, tensor<2x8x16x?xf32>) -> tensor<2x8x?x?xf32>
  %p = onnx.Softmax %s {axis = -1 : i64} : (tensor<2x8x?x?xf32>) -> tensor<2x8x?x?xf32>
  %y = onnx.MatMul %p, %v : (tensor<2x8x?x?xf32>, tensor<2x8x?x16xf32>) -> tensor<2x8x?x16xf32>
  return %y : tensor<2x8x?x16xf32>
}

// Batch and heads merged ahead of the products and parted behind them; a number for each head and key is added between.

// CHECK-LABEL: func @merged_heads
func.func @merged_heads(%q: tensor<?x4x?x16xf32> {onnx.dims = ["b", 4, "s", 16]}, %k: tensor<?x4x?x16xf32> {onnx.dims = ["b", 4, "t", 16]},
                        %v: tensor<?x4x?x16xf32> {onnx.dims = ["b", 4, "t", 16]}, %a: tensor<?x1x?xf32> {onnx.dims = ["4 * b", 1, "t"]},
                        %m: tensor<?x1x?x?xf32> {onnx.dims = ["b", 1, "s", "t"]}) -> tensor<?x4x?x16xf32> {
  // CHECK: %[[KEYS:.*]] = onnx.Reshape %arg3, %{{.*}} : (tensor<?x1x?xf32>, tensor<4xi64>) -> tensor<?x4x1x?xf32>
  // CHECK: %[[MASK:.*]] = onnx.Add %[[KEYS]], %arg4
  // CHECK: qopt.attention %{{.*}}, %arg1, %arg2 mask(%[[MASK]] : tensor<?x4x?x?xf32>) scale 2.5{{.*}}
  // CHECK-NOT: onnx.Softmax
  %scale = onnx.Constant dense<0.25> : tensor<f32>
  %width = onnx.Constant dense<16> : tensor<1xi64>
  %four = onnx.Constant dense<4> : tensor<1xi64>
  %b = onnx.Shape %q {start = 0 : i64, end = 1 : i64} : (tensor<?x4x?x16xf32>) -> tensor<1xi64>
  %s = onnx.Shape %q {start = 2 : i64, end = 3 : i64} : (tensor<?x4x?x16xf32>) -> tensor<1xi64>
  %t = onnx.Shape %k {start = 2 : i64, end = 3 : i64} : (tensor<?x4x?x16xf32>) -> tensor<1xi64>
  %bh = onnx.Mul %b, %four : (tensor<1xi64>, tensor<1xi64>) -> tensor<1xi64>
  %queries = onnx.Concat %bh, %s, %width {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<3xi64>
  %keys = onnx.Concat %bh, %t, %width {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<3xi64>
  %weights = onnx.Concat %bh, %s, %t {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<3xi64>
  %four_scores = onnx.Concat %b, %four, %s, %t {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<4xi64>
  %four_heads = onnx.Concat %b, %four, %s, %width {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<4xi64>
  %q3 = onnx.Reshape %q, %queries : (tensor<?x4x?x16xf32>, tensor<3xi64>) -> tensor<?x?x16xf32>
  %k3 = onnx.Reshape %k, %keys : (tensor<?x4x?x16xf32>, tensor<3xi64>) -> tensor<?x?x16xf32>
  %v3 = onnx.Reshape %v, %keys : (tensor<?x4x?x16xf32>, tensor<3xi64>) -> tensor<?x?x16xf32>
  %kt = onnx.Transpose %k3 {perm = array<i64: 0, 2, 1>} : (tensor<?x?x16xf32>) -> tensor<?x16x?xf32>
  %p3 = onnx.MatMul %q3, %kt : (tensor<?x?x16xf32>, tensor<?x16x?xf32>) -> tensor<?x?x?xf32>
  %scaled = onnx.Mul %p3, %scale : (tensor<?x?x?xf32>, tensor<f32>) -> tensor<?x?x?xf32>
  %biased = onnx.Add %scaled, %a : (tensor<?x?x?xf32>, tensor<?x1x?xf32>) -> tensor<?x?x?xf32>
  %p4 = onnx.Reshape %biased, %four_scores : (tensor<?x?x?xf32>, tensor<4xi64>) -> tensor<?x4x?x?xf32>
  %masked = onnx.Add %p4, %m : (tensor<?x4x?x?xf32>, tensor<?x1x?x?xf32>) -> tensor<?x4x?x?xf32>
  %soft = onnx.Softmax %masked {axis = -1 : i64} : (tensor<?x4x?x?xf32>) -> tensor<?x4x?x?xf32>
  %soft3 = onnx.Reshape %soft, %weights : (tensor<?x4x?x?xf32>, tensor<3xi64>) -> tensor<?x?x?xf32>
  %y3 = onnx.MatMul %soft3, %v3 : (tensor<?x?x?xf32>, tensor<?x?x16xf32>) -> tensor<?x?x16xf32>
  %y = onnx.Reshape %y3, %four_heads : (tensor<?x?x16xf32>, tensor<4xi64>) -> tensor<?x4x?x16xf32>
  return %y : tensor<?x4x?x16xf32>
}

// A factor of the queries before they are divided into heads is one of the scores.

// CHECK-LABEL: func @scaled_queries
func.func @scaled_queries(%x: tensor<?x?x64xf32> {onnx.dims = ["b", "s", 64]}, %k: tensor<?x4x?x16xf32>, %v: tensor<?x4x?x16xf32>) -> tensor<?x?x4x16xf32> {
  // CHECK: %[[Q:.*]] = onnx.Reshape %arg0
  // CHECK: qopt.attention %[[Q]], %arg1, %arg2 scale 1.250000e-01
  %half = onnx.Constant dense<0.5> : tensor<f32>
  %shape = onnx.Constant dense<[0, 0, 4, 16]> : tensor<4xi64>
  %scaled = onnx.Mul %x, %half : (tensor<?x?x64xf32>, tensor<f32>) -> tensor<?x?x64xf32>
  %q = onnx.Reshape %scaled, %shape : (tensor<?x?x64xf32>, tensor<4xi64>) -> tensor<?x?x4x16xf32>
  %y = qopt.attention %q, %k, %v scale 2.500000e-01 : tensor<?x?x4x16xf32>, tensor<?x4x?x16xf32>, tensor<?x4x?x16xf32> -> tensor<?x?x4x16xf32>
  return %y : tensor<?x?x4x16xf32>
}
