// An added mask: 0 and the lowest float, as eager attention has it.
func.func @main(%v3: tensor<?x?xi64> {qopt.name = "input_ids", onnx.dims = ["batch", "sequence"]},
                %v30: tensor<?x?xi64> {qopt.name = "attention_mask", onnx.dims = ["batch", "total_sequence"]},
                %v6: tensor<?x4x?x8xf32> {qopt.name = "past_key_values.0.key", onnx.dims = ["batch", 4, "past_sequence", 8]},
                %v12: tensor<?x4x?x8xf32> {qopt.name = "past_key_values.1.value", onnx.dims = ["batch", 4, "past_sequence", 8]})
    -> (tensor<?x1x?x?xf32>) attributes {expected = "causal, padding"} {
  %none = onnx.None
  %v0 = onnx.Constant dense<-3.4028234663852886e+38> : tensor<f32>
  %v1 = onnx.Constant dense<0.0> : tensor<f32>
  %v2 = onnx.Constant dense<[-1]> : tensor<1xi64>
  %v4 = onnx.Shape %v3 {end = 2 : i64, start = 1 : i64} : (tensor<?x?xi64>) -> tensor<1xi64>
  %v5 = onnx.Squeeze %v4, %none : (tensor<1xi64>, none) -> tensor<i64>
  %v7 = onnx.Shape %v6 {end = 3 : i64, start = 2 : i64} : (tensor<?x4x?x8xf32>) -> tensor<1xi64>
  %v8 = onnx.Squeeze %v7, %none : (tensor<1xi64>, none) -> tensor<i64>
  %v9 = onnx.Add %v8, %v5 : (tensor<i64>, tensor<i64>) -> tensor<i64>
  %v10 = onnx.Reshape %v9, %v2 {allowzero = false} : (tensor<i64>, tensor<1xi64>) -> tensor<1xi64>
  %v11 = onnx.Constant dense<[1]> : tensor<1xi64>
  %v13 = onnx.Shape %v12 {end = 1 : i64, start = 0 : i64} : (tensor<?x4x?x8xf32>) -> tensor<1xi64>
  %v14 = onnx.Concat %v13, %v11, %v4, %v10 {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<4xi64>
  %v15 = onnx.Concat %v13, %v11, %v10 {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<3xi64>
  %v16 = onnx.Constant dense<1> : tensor<i64>
  %v17 = onnx.Constant dense<0> : tensor<i64>
  %v18 = onnx.Range %v17, %v9, %v16 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %v19 = onnx.Constant dense<[-1, 1]> : tensor<2xi64>
  %v20 = onnx.Squeeze %v13, %none : (tensor<1xi64>, none) -> tensor<i64>
  %v21 = onnx.Range %v17, %v20, %v16 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %v22 = onnx.Reshape %v21, %v19 {allowzero = true} : (tensor<?xi64>, tensor<2xi64>) -> tensor<?x1xi64>
  %v23 = onnx.Max %v22, %v18 : (tensor<?x1xi64>, tensor<?xi64>) -> tensor<?x?xi64>
  %v24 = onnx.Shape %v23 {start = 0 : i64} : (tensor<?x?xi64>) -> tensor<2xi64>
  %v25 = onnx.Expand %v18, %v24 : (tensor<?xi64>, tensor<2xi64>) -> tensor<?x?xi64>
  %v26 = onnx.Unsqueeze %v25, %v2 : (tensor<?x?xi64>, tensor<1xi64>) -> tensor<?x?x1xi64>
  %v27 = onnx.Expand %v22, %v24 : (tensor<?x1xi64>, tensor<2xi64>) -> tensor<?x?xi64>
  %v28 = onnx.Unsqueeze %v27, %v2 : (tensor<?x?xi64>, tensor<1xi64>) -> tensor<?x?x1xi64>
  %v29 = onnx.Concat %v28, %v26 {axis = -1 : i64} : (tensor<?x?x1xi64>, tensor<?x?x1xi64>) -> tensor<?x?x2xi64>
  %v31 = onnx.Cast %v30 : (tensor<?x?xi64>) -> tensor<?x?xi1>
  %v32 = onnx.GatherND %v31, %v29 {batch_dims = 0 : i64} : (tensor<?x?xi1>, tensor<?x?x2xi64>) -> tensor<?x?xi1>
  %v33 = onnx.Reshape %v32, %v15 {allowzero = true} : (tensor<?x?xi1>, tensor<3xi64>) -> tensor<?x1x?xi1>
  %v34 = onnx.Range %v8, %v9, %v16 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %v35 = onnx.Reshape %v34, %v19 {allowzero = true} : (tensor<?xi64>, tensor<2xi64>) -> tensor<?x1xi64>
  %v36 = onnx.LessOrEqual %v18, %v35 : (tensor<?xi64>, tensor<?x1xi64>) -> tensor<?x?xi1>
  %v37 = onnx.Constant dense<1.0> : tensor<f32>
  %v38 = onnx.Expand %v37, %v4 : (tensor<f32>, tensor<1xi64>) -> tensor<?xf32>
  %v39 = onnx.Cast %v38 : (tensor<?xf32>) -> tensor<?xi1>
  %v40 = onnx.Reshape %v39, %v19 {allowzero = true} : (tensor<?xi1>, tensor<2xi64>) -> tensor<?x1xi1>
  %v41 = onnx.And %v40, %v36 : (tensor<?x1xi1>, tensor<?x?xi1>) -> tensor<?x?xi1>
  %v42 = onnx.And %v41, %v33 : (tensor<?x?xi1>, tensor<?x1x?xi1>) -> tensor<?x?x?xi1>
  %v43 = onnx.Unsqueeze %v42, %v11 : (tensor<?x?x?xi1>, tensor<1xi64>) -> tensor<?x1x?x?xi1>
  %v44 = onnx.Reshape %v43, %v14 {allowzero = true} : (tensor<?x1x?x?xi1>, tensor<4xi64>) -> tensor<?x1x?x?xi1>
  %v45 = onnx.Expand %v44, %v14 : (tensor<?x1x?x?xi1>, tensor<4xi64>) -> tensor<?x1x?x?xi1>
  %v46 = onnx.Where %v45, %v1, %v0 : (tensor<?x1x?x?xi1>, tensor<f32>, tensor<f32>) -> tensor<?x1x?x?xf32>
  return %v46 : tensor<?x1x?x?xf32>
}
