// ALiBi: slopes times positions, of shape [batch * heads, 1, keys].
func.func @main(%v0: tensor<?x?xi64> {qopt.name = "attention_mask", onnx.dims = ["batch", "total_sequence"]},
                %v5: tensor<?x4x?x16xf32> {qopt.name = "past_key_values.1.value", onnx.dims = ["batch", 4, "past_sequence", 16]})
    -> (tensor<?x1x?xf32>) attributes {expected = "slopes of 4 heads"} {
  %none = onnx.None
  %v1 = onnx.Shape %v0 {end = 2 : i64, start = 1 : i64} : (tensor<?x?xi64>) -> tensor<1xi64>
  %v2 = onnx.Constant dense<[1]> : tensor<1xi64>
  %v3 = onnx.Constant dense<[-1]> : tensor<1xi64>
  %v4 = onnx.Constant dense<4> : tensor<i64>
  %v6 = onnx.Shape %v5 {end = 1 : i64, start = 0 : i64} : (tensor<?x4x?x16xf32>) -> tensor<1xi64>
  %v7 = onnx.Squeeze %v6, %none : (tensor<1xi64>, none) -> tensor<i64>
  %v8 = onnx.Mul %v7, %v4 : (tensor<i64>, tensor<i64>) -> tensor<i64>
  %v9 = onnx.Reshape %v8, %v3 {allowzero = false} : (tensor<i64>, tensor<1xi64>) -> tensor<1xi64>
  %v10 = onnx.Concat %v9, %v2, %v1 {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<3xi64>
  %v11 = onnx.Constant dense<1> : tensor<i64>
  %v12 = onnx.Constant dense<-1> : tensor<i64>
  %v13 = onnx.CumSum %v0, %v12 {reverse = false, exclusive = false} : (tensor<?x?xi64>, tensor<i64>) -> tensor<?x?xi64>
  %v14 = onnx.Sub %v13, %v11 : (tensor<?x?xi64>, tensor<i64>) -> tensor<?x?xi64>
  %v15 = onnx.Mul %v14, %v0 : (tensor<?x?xi64>, tensor<?x?xi64>) -> tensor<?x?xi64>
  %v16 = onnx.Unsqueeze %v15, %v2 : (tensor<?x?xi64>, tensor<1xi64>) -> tensor<?x1x?xi64>
  %v17 = onnx.Cast %v16 : (tensor<?x1x?xi64>) -> tensor<?x1x?xf32>
  %v18 = onnx.Constant dense<[[0.25], [0.0625], [0.015625], [0.00390625]]> : tensor<4x1xf32>
  %v19 = onnx.Mul %v18, %v17 : (tensor<4x1xf32>, tensor<?x1x?xf32>) -> tensor<?x4x?xf32>
  %v20 = onnx.Reshape %v19, %v10 {allowzero = true} : (tensor<?x4x?xf32>, tensor<3xi64>) -> tensor<?x1x?xf32>
  return %v20 : tensor<?x1x?xf32>
}
