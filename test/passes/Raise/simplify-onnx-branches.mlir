// RUN: qopt-opt %s -pass-pipeline='builtin.module(func.func(qopt-simplify-onnx))' | FileCheck %s

// A condition that is data: both branches are computed where that changes nothing.
// CHECK-LABEL: func @chosen_by_data
// CHECK-NEXT: %[[N:.*]] = onnx.Neg %arg1
// CHECK-NEXT: %[[C:.*]] = onnx.Where %arg0, %[[N]], %arg1
// CHECK-NEXT: return %[[C]]
func.func @chosen_by_data(%flag: tensor<i1>, %x: tensor<4xf32>) -> tensor<4xf32> {
  %c = onnx.If %flag : (tensor<i1>) -> tensor<4xf32> {
    %d = onnx.Neg %x : (tensor<4xf32>) -> tensor<4xf32>
    onnx.Yield %d : tensor<4xf32>
  } else {
    onnx.Yield %x : tensor<4xf32>
  }
  return %c : tensor<4xf32>
}

// Not where a place may be none of the tensor's, sizes are not known, or a condition would widen the result.
// CHECK-LABEL: func @one_branch_only
// CHECK-COUNT-3: onnx.If
func.func @one_branch_only(%flag: tensor<i1>, %flags: tensor<1xi1>, %i: tensor<i64>, %x: tensor<4xf32>, %s: tensor<f32>, %n: tensor<?xf32>) -> (tensor<f32>, tensor<?xf32>, tensor<f32>) {
  %a = onnx.If %flag : (tensor<i1>) -> tensor<f32> {
    %d = onnx.Gather %x, %i {axis = 0 : i64} : (tensor<4xf32>, tensor<i64>) -> tensor<f32>
    onnx.Yield %d : tensor<f32>
  } else {
    onnx.Yield %s : tensor<f32>
  }
  %b = onnx.If %flag : (tensor<i1>) -> tensor<?xf32> {
    %d = onnx.Neg %n : (tensor<?xf32>) -> tensor<?xf32>
    onnx.Yield %d : tensor<?xf32>
  } else {
    onnx.Yield %n : tensor<?xf32>
  }
  %c = onnx.If %flags : (tensor<1xi1>) -> tensor<f32> {
    %d = onnx.Neg %s : (tensor<f32>) -> tensor<f32>
    onnx.Yield %d : tensor<f32>
  } else {
    onnx.Yield %s : tensor<f32>
  }
  return %a, %b, %c : tensor<f32>, tensor<?xf32>, tensor<f32>
}
