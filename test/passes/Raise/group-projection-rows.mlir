// RUN: qopt-opt %s -qopt-group-projection-rows | FileCheck %s
// Rows that go head by head through the pieces are put in the order of pieces, with their biases.

// CHECK-LABEL: @split
func.func @split(%x: tensor<?x?x1xf32> {onnx.dims = ["b", "s", 1]}) -> (tensor<?x?x2x2xf32>, tensor<?x?x2x2xf32>) {
  // CHECK-DAG: %[[BIAS:.*]] = onnx.Constant dense<[0.000000e+00, 1.000000e+00, 4.000000e+00, 5.000000e+00, 2.000000e+00, 3.000000e+00, 6.000000e+00, 7.000000e+00]>
  // CHECK-DAG: %[[W:.*]] = qopt.weight "w" codes(dense<{{\[}}[1.000000e+01, 1.100000e+01, 1.400000e+01, 1.500000e+01, 1.200000e+01, 1.300000e+01, 1.600000e+01, 1.700000e+01]]> : tensor<1x8xf32>) transposed
  // CHECK: %[[Y:.*]] = qopt.linear %{{.*}}, %[[W]] bias(%[[BIAS]]
  // CHECK: %[[PARTED:.*]] = onnx.Reshape %[[Y]], %{{.*}} -> tensor<?x?x2x2x2xf32>
  // CHECK: %[[K:.*]] = onnx.Gather %[[PARTED]], %{{.*}} {axis = 2 : i64}
  // CHECK: %[[V:.*]] = onnx.Gather %[[PARTED]], %{{.*}} {axis = 2 : i64}
  // CHECK: return %[[K]], %[[V]]
  %w = qopt.weight "w" codes(dense<[[10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0]]> : tensor<1x8xf32>) transposed : !qopt.weight<8x1, f32>
  %bias = onnx.Constant dense<[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]> : tensor<8xf32>
  %y = qopt.linear %x, %w bias(%bias : tensor<8xf32>) : tensor<?x?x1xf32>, !qopt.weight<8x1, f32> -> tensor<?x?x8xf32>
  %shape = onnx.Constant dense<[0, 0, 2, 4]> : tensor<4xi64>
  %heads = onnx.Reshape %y, %shape : (tensor<?x?x8xf32>, tensor<4xi64>) -> tensor<?x?x2x4xf32>
  %none = onnx.None
  %p:2 = onnx.Split %heads, %none {axis = 3 : i64} : (tensor<?x?x2x4xf32>, none) -> (tensor<?x?x2x2xf32>, tensor<?x?x2x2xf32>)
  return %p#0, %p#1 : tensor<?x?x2x2xf32>, tensor<?x?x2x2xf32>
}

// Rows of a matrix that is not transposed; the pieces are places of an axis.

// CHECK-LABEL: @gather
func.func @gather(%x: tensor<?x?x1xf32> {onnx.dims = ["b", "s", 1]}) -> tensor<?x?x2x1xf32> {
  // CHECK: qopt.weight "w" codes(dense<{{\[}}[1.000000e+00], [3.000000e+00], [2.000000e+00], [4.000000e+00]]> : tensor<4x1xf32>)
  // CHECK: onnx.Gather %{{.*}}, %{{.*}} {axis = 2 : i64} : (tensor<?x?x2x2x1xf32>, tensor<i64>) -> tensor<?x?x2x1xf32>
  %w = qopt.weight "w" codes(dense<[[1.0], [2.0], [3.0], [4.0]]> : tensor<4x1xf32>) : !qopt.weight<4x1, f32>
  %y = qopt.linear %x, %w : tensor<?x?x1xf32>, !qopt.weight<4x1, f32> -> tensor<?x?x4xf32>
  %shape = onnx.Constant dense<[0, 0, 2, 2, 1]> : tensor<5xi64>
  %heads = onnx.Reshape %y, %shape : (tensor<?x?x4xf32>, tensor<5xi64>) -> tensor<?x?x2x2x1xf32>
  %one = onnx.Constant dense<1> : tensor<i64>
  %v = onnx.Gather %heads, %one {axis = 3 : i64} : (tensor<?x?x2x2x1xf32>, tensor<i64>) -> tensor<?x?x2x1xf32>
  return %v : tensor<?x?x2x1xf32>
}

// Something else reads the heads as they are; a second product reads the weight.

// CHECK-LABEL: @kept
func.func @kept(%x: tensor<?x?x1xf32> {onnx.dims = ["b", "s", 1]}) -> (tensor<?x?x2x1xf32>, tensor<?x?x2x2xf32>, tensor<?x?x2x1xf32>, tensor<?x?x4xf32>) {
  // CHECK: qopt.weight "w" codes(dense<{{\[}}[1.000000e+00, 2.000000e+00, 3.000000e+00, 4.000000e+00]]>
  // CHECK: qopt.weight "v" codes(dense<{{\[}}[1.000000e+00, 2.000000e+00, 3.000000e+00, 4.000000e+00]]>
  // CHECK-NOT: onnx.Gather
  %w = qopt.weight "w" codes(dense<[[1.0, 2.0, 3.0, 4.0]]> : tensor<1x4xf32>) transposed : !qopt.weight<4x1, f32>
  %v = qopt.weight "v" codes(dense<[[1.0, 2.0, 3.0, 4.0]]> : tensor<1x4xf32>) transposed : !qopt.weight<4x1, f32>
  %shape = onnx.Constant dense<[0, 0, 2, 2]> : tensor<4xi64>
  %none = onnx.None
  %y = qopt.linear %x, %w : tensor<?x?x1xf32>, !qopt.weight<4x1, f32> -> tensor<?x?x4xf32>
  %heads = onnx.Reshape %y, %shape : (tensor<?x?x4xf32>, tensor<4xi64>) -> tensor<?x?x2x2xf32>
  %p:2 = onnx.Split %heads, %none {axis = 3 : i64} : (tensor<?x?x2x2xf32>, none) -> (tensor<?x?x2x1xf32>, tensor<?x?x2x1xf32>)
  %negative = onnx.Neg %heads : (tensor<?x?x2x2xf32>) -> tensor<?x?x2x2xf32>
  %z = qopt.linear %x, %v : tensor<?x?x1xf32>, !qopt.weight<4x1, f32> -> tensor<?x?x4xf32>
  %again = qopt.linear %x, %v : tensor<?x?x1xf32>, !qopt.weight<4x1, f32> -> tensor<?x?x4xf32>
  %others = onnx.Reshape %z, %shape : (tensor<?x?x4xf32>, tensor<4xi64>) -> tensor<?x?x2x2xf32>
  %q:2 = onnx.Split %others, %none {axis = 3 : i64} : (tensor<?x?x2x2xf32>, none) -> (tensor<?x?x2x1xf32>, tensor<?x?x2x1xf32>)
  return %p#0, %negative, %q#0, %again : tensor<?x?x2x1xf32>, tensor<?x?x2x2xf32>, tensor<?x?x2x1xf32>, tensor<?x?x4xf32>
}
