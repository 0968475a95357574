// GroupQueryAttention becomes Attention with a mask and a gather that puts new keys behind each sequence's own.
// RUN: qopt-opt %s -split-input-file -qopt-expand-microsoft | FileCheck %s
// RUN: qopt-opt %s -split-input-file -pass-pipeline='builtin.module(func.func(qopt-expand-microsoft,qopt-simplify-onnx))' | FileCheck %s --check-prefix=SIZES

// The total length is data: its value must be 3 + 2, else no key has the place that is read.
// CHECK-LABEL: @joined
// CHECK: onnx.LessOrEqual
// CHECK-NOT: onnx.And
// CHECK: onnx.Attention
// CHECK: %[[FITS:.*]] = onnx.Equal
// CHECK: %[[SOURCE:.*]] = onnx.Where %[[FITS]]
// CHECK: onnx.Unsqueeze %[[SOURCE]]
// CHECK: onnx.GatherElements
// SIZES-LABEL: @joined
// SIZES-SAME: -> (tensor<1x2x32xf32>, tensor<1x2x5x16xf32>)
func.func @joined(%q: tensor<1x2x96xf32>, %past: tensor<1x2x3x16xf32>, %lengths: tensor<1xi32>, %total: tensor<1xi32>) -> (tensor<1x2x32xf32>, tensor<1x2x?x16xf32>) {
  %none = onnx.None
  %y, %key, %value, %scores = onnx.ms.GroupQueryAttention %q, %none, %none, %past, %past, %lengths, %total, %none, %none, %none, %none, %none, %none, %none, %none, %none {num_heads = 2 : i64, kv_num_heads = 2 : i64} : (tensor<1x2x96xf32>, none, none, tensor<1x2x3x16xf32>, tensor<1x2x3x16xf32>, tensor<1xi32>, tensor<1xi32>, none, none, none, none, none, none, none, none, none) -> (tensor<1x2x32xf32>, tensor<1x2x?x16xf32>, none, none)
  return %y, %key : tensor<1x2x32xf32>, tensor<1x2x?x16xf32>
}

// -----

// The total length is a size: a past that has room for the new tokens keeps its length.
// CHECK-LABEL: @buffer
// CHECK-NOT: onnx.Equal
// CHECK: %[[LENGTH:.*]] = onnx.Max {{.*}} : (tensor<i64>, tensor<i64>)
// CHECK: onnx.Range %{{.*}}, %[[LENGTH]]
// CHECK: onnx.GatherElements
// SIZES-LABEL: @buffer
// SIZES-SAME: -> tensor<1x2x9x16xf32>
func.func @buffer(%q: tensor<1x2x96xf32>, %past: tensor<1x2x9x16xf32>, %lengths: tensor<1xi32>) -> tensor<1x2x9x16xf32> {
  %none = onnx.None
  %total = onnx.Constant dense<5> : tensor<1xi32>
  %y, %key, %value, %scores = onnx.ms.GroupQueryAttention %q, %none, %none, %past, %past, %lengths, %total, %none, %none, %none, %none, %none, %none, %none, %none, %none {num_heads = 2 : i64, kv_num_heads = 2 : i64} : (tensor<1x2x96xf32>, none, none, tensor<1x2x9x16xf32>, tensor<1x2x9x16xf32>, tensor<1xi32>, tensor<1xi32>, none, none, none, none, none, none, none, none, none) -> (tensor<1x2x32xf32>, tensor<1x2x9x16xf32>, none, none)
  return %key : tensor<1x2x9x16xf32>
}

// -----

// A window is part of the mask, for keys of the past and new ones.
// CHECK-LABEL: @window
// CHECK-DAG: %[[WINDOW:.*]] = onnx.Constant dense<4> : tensor<i64>
// CHECK-DAG: onnx.Less %{{.*}}, %[[WINDOW]] : (tensor<?x1x?x?xi64>
// CHECK-DAG: onnx.Less %{{.*}}, %[[WINDOW]] : (tensor<?x?xi64>
// CHECK: onnx.Attention
func.func @window(%q: tensor<?x?x96xf32>, %lengths: tensor<?xi32>, %total: tensor<1xi32>) -> tensor<?x?x32xf32> {
  %none = onnx.None
  %y, %key, %value, %scores = onnx.ms.GroupQueryAttention %q, %none, %none, %none, %none, %lengths, %total, %none, %none, %none, %none, %none, %none, %none, %none, %none {num_heads = 2 : i64, kv_num_heads = 2 : i64, local_window_size = 4 : i64} : (tensor<?x?x96xf32>, none, none, none, none, tensor<?xi32>, tensor<1xi32>, none, none, none, none, none, none, none, none, none) -> (tensor<?x?x32xf32>, none, none, none)
  return %y : tensor<?x?x32xf32>
}
