// A bidirectional encoder's mask; its shape comes from token_type_ids.
func.func @main(%v3: tensor<?x?xi64> {qopt.name = "input_ids", onnx.dims = ["batch", "sequence"]},
                %v7: tensor<?x?xi64> {qopt.name = "attention_mask", onnx.dims = ["batch", "sequence"]},
                %v0: tensor<?x?xi64> {qopt.name = "token_type_ids", onnx.dims = ["batch", "sequence"]})
    -> (tensor<?x1x?x?xf32>) attributes {expected = "padding"} {
  %v1 = onnx.Shape %v0 {end = 2 : i64, start = 1 : i64} : (tensor<?x?xi64>) -> tensor<1xi64>
  %v2 = onnx.Constant dense<[1]> : tensor<1xi64>
  %v4 = onnx.Shape %v3 {end = 1 : i64, start = 0 : i64} : (tensor<?x?xi64>) -> tensor<1xi64>
  %v5 = onnx.Concat %v4, %v2, %v1, %v1 {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<4xi64>
  %v6 = onnx.Constant dense<[1, 2]> : tensor<2xi64>
  %v8 = onnx.Unsqueeze %v7, %v6 : (tensor<?x?xi64>, tensor<2xi64>) -> tensor<?x1x1x?xi64>
  %v9 = onnx.Expand %v8, %v5 : (tensor<?x1x1x?xi64>, tensor<4xi64>) -> tensor<?x1x?x?xi64>
  %v10 = onnx.Cast %v9 : (tensor<?x1x?x?xi64>) -> tensor<?x1x?x?xf32>
  %v11 = onnx.Constant dense<1.0> : tensor<f32>
  %v12 = onnx.Sub %v11, %v10 : (tensor<f32>, tensor<?x1x?x?xf32>) -> tensor<?x1x?x?xf32>
  %v13 = onnx.Constant dense<-3.4028234663852886e+38> : tensor<f32>
  %v14 = onnx.Cast %v12 : (tensor<?x1x?x?xf32>) -> tensor<?x1x?x?xi1>
  %v15 = onnx.Where %v14, %v13, %v12 : (tensor<?x1x?x?xi1>, tensor<f32>, tensor<?x1x?x?xf32>) -> tensor<?x1x?x?xf32>
  return %v15 : tensor<?x1x?x?xf32>
}
