// A rotation is recognised by turning numbers, however it is written; tables by what they compute.
// RUN: qopt-opt %s -pass-pipeline='builtin.module(func.func(qopt-simplify-onnx,qopt-raise-rotary,qopt-simplify-onnx,cse))' | FileCheck %s

// Neighbouring channels are pairs, and only the first four of six channels turn.
// CHECK-LABEL: func @interleaved_partial
// CHECK: %[[COS:.*]], %[[SIN:.*]] = qopt.rotary_table %{{.*}}, %{{.*}} : tensor<?x?xi32>, tensor<2xf32> -> tensor<?x?x2xf32>
// CHECK: %[[Y:.*]] = qopt.rotary %arg1, %[[COS]], %[[SIN]] interleaved : tensor<?x?x3x6xf32>, tensor<?x?x2xf32>
// CHECK: return %[[Y]]
func.func @interleaved_partial(
    %ids: tensor<?x?xi64> {qopt.name = "input_ids", onnx.dims = ["batch", "sequence"]},
    %x: tensor<?x?x3x6xf32> {onnx.dims = ["batch", "sequence", 3, 6]},
    %positions: tensor<?x?xi64> {qopt.name = "position_ids", onnx.dims = ["batch", "sequence"]}) -> tensor<?x?x3x6xf32> {
  %none = onnx.None
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %two = onnx.Constant dense<2> : tensor<1xi64>
  %four = onnx.Constant dense<4> : tensor<1xi64>
  %end = onnx.Constant dense<9223372036854775807> : tensor<1xi64>
  %last = onnx.Constant dense<3> : tensor<1xi64>
  %fifth = onnx.Constant dense<4> : tensor<1xi64>
  %frequency = onnx.Constant dense<[1.0, 1.0, 0.1, 0.1]> : tensor<4xf32>
  %float = onnx.Cast %positions : (tensor<?x?xi64>) -> tensor<?x?xf32>
  %heads = onnx.Constant dense<[2, 3]> : tensor<2xi64>
  %column = onnx.Unsqueeze %float, %heads : (tensor<?x?xf32>, tensor<2xi64>) -> tensor<?x?x1x1xf32>
  %angle = onnx.Mul %column, %frequency : (tensor<?x?x1x1xf32>, tensor<4xf32>) -> tensor<?x?x1x4xf32>
  %cos = onnx.Cos %angle : (tensor<?x?x1x4xf32>) -> tensor<?x?x1x4xf32>
  %sin = onnx.Sin %angle : (tensor<?x?x1x4xf32>) -> tensor<?x?x1x4xf32>
  %turns = onnx.Slice %x, %zero, %four, %last, %one : (tensor<?x?x3x6xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x?x3x4xf32>
  %stays = onnx.Slice %x, %four, %end, %last, %one : (tensor<?x?x3x6xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x?x3x2xf32>
  %even = onnx.Slice %turns, %zero, %end, %last, %two : (tensor<?x?x3x4xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x?x3x2xf32>
  %odd = onnx.Slice %turns, %one, %end, %last, %two : (tensor<?x?x3x4xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x?x3x2xf32>
  %minus = onnx.Neg %odd : (tensor<?x?x3x2xf32>) -> tensor<?x?x3x2xf32>
  %a = onnx.Unsqueeze %minus, %fifth : (tensor<?x?x3x2xf32>, tensor<1xi64>) -> tensor<?x?x3x2x1xf32>
  %b = onnx.Unsqueeze %even, %fifth : (tensor<?x?x3x2xf32>, tensor<1xi64>) -> tensor<?x?x3x2x1xf32>
  %pairs = onnx.Concat %a, %b {axis = -1 : i64} : (tensor<?x?x3x2x1xf32>, tensor<?x?x3x2x1xf32>) -> tensor<?x?x3x2x2xf32>
  %flat = onnx.Constant dense<[0, 0, 3, 4]> : tensor<4xi64>
  %turned = onnx.Reshape %pairs, %flat : (tensor<?x?x3x2x2xf32>, tensor<4xi64>) -> tensor<?x?x3x4xf32>
  %plain = onnx.Mul %turns, %cos : (tensor<?x?x3x4xf32>, tensor<?x?x1x4xf32>) -> tensor<?x?x3x4xf32>
  %across = onnx.Mul %turned, %sin : (tensor<?x?x3x4xf32>, tensor<?x?x1x4xf32>) -> tensor<?x?x3x4xf32>
  %rotated = onnx.Add %plain, %across : (tensor<?x?x3x4xf32>, tensor<?x?x3x4xf32>) -> tensor<?x?x3x4xf32>
  %y = onnx.Concat %rotated, %stays {axis = 3 : i64} : (tensor<?x?x3x4xf32>, tensor<?x?x3x2xf32>) -> tensor<?x?x3x6xf32>
  return %y : tensor<?x?x3x6xf32>
}

// One position: cosines are 1 along heads and positions, and x says which of its axes are the heads.
// CHECK-LABEL: func @one_position
// CHECK: %[[COS:.*]], %[[SIN:.*]] = qopt.rotary_table %{{.*}}, %{{.*}} : tensor<?x1xi32>, tensor<2xf32> -> tensor<?x1x2xf32>
// CHECK: qopt.rotary %arg1, %[[COS]], %[[SIN]] : tensor<?x1x3x4xf32>, tensor<?x1x2xf32>
func.func @one_position(
    %ids: tensor<?x1xi64> {qopt.name = "input_ids", onnx.dims = ["batch", 1]},
    %x: tensor<?x1x3x4xf32> {onnx.dims = ["batch", 1, 3, 4]},
    %positions: tensor<?x1xi64> {qopt.name = "position_ids", onnx.dims = ["batch", 1]},
    %past: tensor<?x3x?x4xf32> {qopt.name = "past_key_values.0.key", onnx.dims = ["batch", 3, "past", 4]}) -> tensor<?x1x3x4xf32> {
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %end = onnx.Constant dense<4> : tensor<1xi64>
  %two = onnx.Constant dense<2> : tensor<1xi64>
  %last = onnx.Constant dense<3> : tensor<1xi64>
  %frequency = onnx.Constant dense<[1.0, 0.1, 1.0, 0.1]> : tensor<4xf32>
  %float = onnx.Cast %positions : (tensor<?x1xi64>) -> tensor<?x1xf32>
  %heads = onnx.Constant dense<[2, 3]> : tensor<2xi64>
  %column = onnx.Unsqueeze %float, %heads : (tensor<?x1xf32>, tensor<2xi64>) -> tensor<?x1x1x1xf32>
  %angle = onnx.Mul %column, %frequency : (tensor<?x1x1x1xf32>, tensor<4xf32>) -> tensor<?x1x1x4xf32>
  %cos = onnx.Cos %angle : (tensor<?x1x1x4xf32>) -> tensor<?x1x1x4xf32>
  %sin = onnx.Sin %angle : (tensor<?x1x1x4xf32>) -> tensor<?x1x1x4xf32>
  %left = onnx.Slice %x, %zero, %two, %last, %one : (tensor<?x1x3x4xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x1x3x2xf32>
  %right = onnx.Slice %x, %two, %end, %last, %one : (tensor<?x1x3x4xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x1x3x2xf32>
  %minus = onnx.Neg %right : (tensor<?x1x3x2xf32>) -> tensor<?x1x3x2xf32>
  %turned = onnx.Concat %minus, %left {axis = 3 : i64} : (tensor<?x1x3x2xf32>, tensor<?x1x3x2xf32>) -> tensor<?x1x3x4xf32>
  %plain = onnx.Mul %x, %cos : (tensor<?x1x3x4xf32>, tensor<?x1x1x4xf32>) -> tensor<?x1x3x4xf32>
  %across = onnx.Mul %turned, %sin : (tensor<?x1x3x4xf32>, tensor<?x1x1x4xf32>) -> tensor<?x1x3x4xf32>
  %y = onnx.Add %plain, %across : (tensor<?x1x3x4xf32>, tensor<?x1x3x4xf32>) -> tensor<?x1x3x4xf32>
  return %y : tensor<?x1x3x4xf32>
}
