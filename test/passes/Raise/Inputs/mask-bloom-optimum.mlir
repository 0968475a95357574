// ALiBi by the TorchScript exporter.
func.func @main(%v2: tensor<?x?xi64> {qopt.name = "attention_mask", onnx.dims = ["batch_size", "past_sequence_length + sequence_length"]})
    -> (tensor<?x1x?xf32>) attributes {expected = "slopes of 4 heads"} {
  %v0 = onnx.Constant dense<[0]> : tensor<1xi64>
  %v1 = onnx.Constant dense<1> : tensor<i64>
  %v3 = onnx.Cast %v2 : (tensor<?x?xi64>) -> tensor<?x?xi64>
  %v4 = onnx.Shape %v3 : (tensor<?x?xi64>) -> tensor<2xi64>
  %v5 = onnx.Gather %v4, %v1 {axis = 0 : i64} : (tensor<2xi64>, tensor<i64>) -> tensor<i64>
  %v6 = onnx.Unsqueeze %v5, %v0 : (tensor<i64>, tensor<1xi64>) -> tensor<1xi64>
  %v7 = onnx.Constant dense<[1]> : tensor<1xi64>
  %v9 = onnx.Constant dense<4> : tensor<i64>
  %v10 = onnx.Constant dense<0> : tensor<i64>
  %v11 = onnx.Shape %v3 : (tensor<?x?xi64>) -> tensor<2xi64>
  %v12 = onnx.Gather %v11, %v10 {axis = 0 : i64} : (tensor<2xi64>, tensor<i64>) -> tensor<i64>
  %v13 = onnx.Mul %v12, %v9 : (tensor<i64>, tensor<i64>) -> tensor<i64>
  %v14 = onnx.Unsqueeze %v13, %v0 : (tensor<i64>, tensor<1xi64>) -> tensor<1xi64>
  %v15 = onnx.Concat %v14, %v7, %v6 {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<3xi64>
  %v18 = onnx.Constant dense<-1> : tensor<i32>
  %v19 = onnx.CumSum %v3, %v18 : (tensor<?x?xi64>, tensor<i32>) -> tensor<?x?xi64>
  %v20 = onnx.Sub %v19, %v1 : (tensor<?x?xi64>, tensor<i64>) -> tensor<?x?xi64>
  %v21 = onnx.Mul %v20, %v3 : (tensor<?x?xi64>, tensor<?x?xi64>) -> tensor<?x?xi64>
  %v22 = onnx.Unsqueeze %v21, %v7 : (tensor<?x?xi64>, tensor<1xi64>) -> tensor<?x1x?xi64>
  %v23 = onnx.Cast %v22 : (tensor<?x1x?xi64>) -> tensor<?x1x?xf32>
  %v24 = onnx.Constant dense<[[0.25], [0.0625], [0.015625], [0.00390625]]> : tensor<4x1xf32>
  %v25 = onnx.Mul %v24, %v23 : (tensor<4x1xf32>, tensor<?x1x?xf32>) -> tensor<?x4x?xf32>
  %v26 = onnx.Reshape %v25, %v15 {allowzero = false} : (tensor<?x4x?xf32>, tensor<3xi64>) -> tensor<?x1x?xf32>
  return %v26 : tensor<?x1x?xf32>
}
