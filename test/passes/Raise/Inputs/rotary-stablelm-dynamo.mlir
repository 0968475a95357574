// Tables of a partial rotation.
func.func @main(%v1: tensor<?x?xi64> {qopt.name = "position_ids", onnx.dims = ["batch", "sequence"]},
                %v4: tensor<?x2x?x16xf32> {qopt.name = "past_key_values.1.value", onnx.dims = ["batch", 2, "past_sequence", 16]})
    -> (tensor<?x?x2xf32>, tensor<?x?x2xf32>) attributes {expected = "2 frequencies, scale 1.00, half, position_ids"} {
  %v0 = onnx.Constant dense<[1]> : tensor<1xi64>
  %v2 = onnx.Unsqueeze %v1, %v0 : (tensor<?x?xi64>, tensor<1xi64>) -> tensor<?x1x?xi64>
  %v3 = onnx.Cast %v2 : (tensor<?x1x?xi64>) -> tensor<?x1x?xf32>
  %v5 = onnx.Shape %v4 {end = 1 : i64, start = 0 : i64} : (tensor<?x2x?x16xf32>) -> tensor<1xi64>
  %v6 = onnx.Concat %v5, %v0, %v0 {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<3xi64>
  %v7 = onnx.Constant dense<[[[1.0], [0.009999999776482582]]]> : tensor<1x2x1xf32>
  %v8 = onnx.Expand %v7, %v6 : (tensor<1x2x1xf32>, tensor<3xi64>) -> tensor<?x2x1xf32>
  %v9 = onnx.MatMul %v8, %v3 : (tensor<?x2x1xf32>, tensor<?x1x?xf32>) -> tensor<?x2x?xf32>
  %v10 = onnx.Transpose %v9 {perm = array<i64: 0, 2, 1>} : (tensor<?x2x?xf32>) -> tensor<?x?x2xf32>
  %v11 = onnx.Cos %v10 : (tensor<?x?x2xf32>) -> tensor<?x?x2xf32>
  %v12 = onnx.Sin %v10 : (tensor<?x?x2xf32>) -> tensor<?x?x2xf32>
  return %v11, %v12 : tensor<?x?x2xf32>, tensor<?x?x2xf32>
}
