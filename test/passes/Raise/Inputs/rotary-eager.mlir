// Tables with an attention factor, eager attention.
func.func @main(%v1: tensor<?x?xi64> {qopt.name = "position_ids", onnx.dims = ["batch", "sequence"]},
                %v4: tensor<?x4x?x8xf32> {qopt.name = "past_key_values.1.value", onnx.dims = ["batch", 4, "past_sequence", 8]})
    -> (tensor<?x1x?x8xf32>, tensor<?x1x?x8xf32>) attributes {expected = "4 frequencies, scale 1.00, halves, position_ids"} {
  %v0 = onnx.Constant dense<[1]> : tensor<1xi64>
  %v2 = onnx.Unsqueeze %v1, %v0 : (tensor<?x?xi64>, tensor<1xi64>) -> tensor<?x1x?xi64>
  %v3 = onnx.Cast %v2 : (tensor<?x1x?xi64>) -> tensor<?x1x?xf32>
  %v5 = onnx.Shape %v4 {end = 1 : i64, start = 0 : i64} : (tensor<?x4x?x8xf32>) -> tensor<1xi64>
  %v6 = onnx.Concat %v5, %v0, %v0 {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<3xi64>
  %v7 = onnx.Constant dense<[[[1.0], [0.10000000149011612], [0.009999999776482582], [0.0010000000474974513]]]> : tensor<1x4x1xf32>
  %v8 = onnx.Expand %v7, %v6 : (tensor<1x4x1xf32>, tensor<3xi64>) -> tensor<?x4x1xf32>
  %v9 = onnx.MatMul %v8, %v3 : (tensor<?x4x1xf32>, tensor<?x1x?xf32>) -> tensor<?x4x?xf32>
  %v10 = onnx.Transpose %v9 {perm = array<i64: 0, 2, 1>} : (tensor<?x4x?xf32>) -> tensor<?x?x4xf32>
  %v11 = onnx.Concat %v10, %v10 {axis = -1 : i64} : (tensor<?x?x4xf32>, tensor<?x?x4xf32>) -> tensor<?x?x8xf32>
  %v12 = onnx.Cos %v11 : (tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %v13 = onnx.Unsqueeze %v12, %v0 : (tensor<?x?x8xf32>, tensor<1xi64>) -> tensor<?x1x?x8xf32>
  %v14 = onnx.Sin %v11 : (tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %v15 = onnx.Unsqueeze %v14, %v0 : (tensor<?x?x8xf32>, tensor<1xi64>) -> tensor<?x1x?x8xf32>
  return %v13, %v15 : tensor<?x1x?x8xf32>, tensor<?x1x?x8xf32>
}
