// A bidirectional encoder's mask by the TorchScript exporter.
func.func @main(%v9: tensor<?x?xi64> {qopt.name = "input_ids", onnx.dims = ["batch_size", "sequence_length"]},
                %v3: tensor<?x?xi64> {qopt.name = "attention_mask", onnx.dims = ["batch_size", "sequence_length"]})
    -> (tensor<?x?x?x?xf32>) attributes {expected = "padding"} {
  %v0 = onnx.Constant dense<[-1]> : tensor<1xi64>
  %v1 = onnx.Constant dense<[0]> : tensor<1xi64>
  %v2 = onnx.Constant dense<1> : tensor<i64>
  %v4 = onnx.Shape %v3 : (tensor<?x?xi64>) -> tensor<2xi64>
  %v5 = onnx.Gather %v4, %v2 {axis = 0 : i64} : (tensor<2xi64>, tensor<i64>) -> tensor<i64>
  %v6 = onnx.Unsqueeze %v5, %v1 : (tensor<i64>, tensor<1xi64>) -> tensor<1xi64>
  %v10 = onnx.Shape %v9 : (tensor<?x?xi64>) -> tensor<2xi64>
  %v11 = onnx.Gather %v10, %v2 {axis = 0 : i64} : (tensor<2xi64>, tensor<i64>) -> tensor<i64>
  %v12 = onnx.Unsqueeze %v11, %v1 : (tensor<i64>, tensor<1xi64>) -> tensor<1xi64>
  %v13 = onnx.Constant dense<[1]> : tensor<1xi64>
  %v15 = onnx.Constant dense<0> : tensor<i64>
  %v16 = onnx.Shape %v3 : (tensor<?x?xi64>) -> tensor<2xi64>
  %v17 = onnx.Gather %v16, %v15 {axis = 0 : i64} : (tensor<2xi64>, tensor<i64>) -> tensor<i64>
  %v18 = onnx.Unsqueeze %v17, %v1 : (tensor<i64>, tensor<1xi64>) -> tensor<1xi64>
  %v19 = onnx.Concat %v18, %v13, %v12, %v6 {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<4xi64>
  %v20 = onnx.Reshape %v19, %v0 {allowzero = false} : (tensor<4xi64>, tensor<1xi64>) -> tensor<4xi64>
  %v21 = onnx.Shape %v20 : (tensor<4xi64>) -> tensor<1xi64>
  %v22 = onnx.ConstantOfShape %v21 {value = dense<[1]> : tensor<1xi64>} : (tensor<1xi64>) -> tensor<4xi64>
  %v23 = onnx.Constant dense<-1> : tensor<i64>
  %v24 = onnx.Mul %v22, %v23 : (tensor<4xi64>, tensor<i64>) -> tensor<4xi64>
  %v25 = onnx.Equal %v20, %v24 : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi1>
  %v26 = onnx.Where %v25, %v22, %v20 : (tensor<4xi1>, tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
  %v27 = onnx.Constant dense<[2]> : tensor<1xi64>
  %v29 = onnx.Unsqueeze %v3, %v13 : (tensor<?x?xi64>, tensor<1xi64>) -> tensor<?x1x?xi64>
  %v30 = onnx.Unsqueeze %v29, %v27 : (tensor<?x1x?xi64>, tensor<1xi64>) -> tensor<?x1x1x?xi64>
  %v31 = onnx.Expand %v30, %v26 : (tensor<?x1x1x?xi64>, tensor<4xi64>) -> tensor<?x?x?x?xi64>
  %v32 = onnx.Cast %v31 : (tensor<?x?x?x?xi64>) -> tensor<?x?x?x?xf32>
  %v33 = onnx.Constant dense<1.0> : tensor<f32>
  %v34 = onnx.Sub %v33, %v32 : (tensor<f32>, tensor<?x?x?x?xf32>) -> tensor<?x?x?x?xf32>
  %v35 = onnx.Constant dense<-3.4028234663852886e+38> : tensor<f32>
  %v36 = onnx.Cast %v34 : (tensor<?x?x?x?xf32>) -> tensor<?x?x?x?xi1>
  %v37 = onnx.Cast %v36 : (tensor<?x?x?x?xi1>) -> tensor<?x?x?x?xi1>
  %v38 = onnx.Where %v37, %v35, %v34 : (tensor<?x?x?x?xi1>, tensor<f32>, tensor<?x?x?x?xf32>) -> tensor<?x?x?x?xf32>
  return %v38 : tensor<?x?x?x?xf32>
}
