// GPT-2's mask by torch's dynamo exporter.
func.func @main(%v1: tensor<?x?xi64> {qopt.name = "input_ids", onnx.dims = ["batch", "sequence"]},
                %v29: tensor<?x?xi64> {qopt.name = "attention_mask", onnx.dims = ["batch", "total_sequence"]},
                %v4: tensor<?x4x?x16xf32> {qopt.name = "past_key_values.0.key", onnx.dims = ["batch", 4, "past_sequence", 16]},
                %v10: tensor<?x4x?x16xf32> {qopt.name = "past_key_values.1.value", onnx.dims = ["batch", 4, "past_sequence", 16]})
    -> (tensor<?x1x?x?xi1>) attributes {expected = "causal, padding"} {
  %none = onnx.None
  %v0 = onnx.Constant dense<[-1]> : tensor<1xi64>
  %v2 = onnx.Shape %v1 {end = 2 : i64, start = 1 : i64} : (tensor<?x?xi64>) -> tensor<1xi64>
  %v3 = onnx.Squeeze %v2, %none : (tensor<1xi64>, none) -> tensor<i64>
  %v5 = onnx.Shape %v4 {end = 3 : i64, start = 2 : i64} : (tensor<?x4x?x16xf32>) -> tensor<1xi64>
  %v6 = onnx.Squeeze %v5, %none : (tensor<1xi64>, none) -> tensor<i64>
  %v7 = onnx.Add %v6, %v3 : (tensor<i64>, tensor<i64>) -> tensor<i64>
  %v8 = onnx.Reshape %v7, %v0 {allowzero = false} : (tensor<i64>, tensor<1xi64>) -> tensor<1xi64>
  %v9 = onnx.Constant dense<[1]> : tensor<1xi64>
  %v11 = onnx.Shape %v10 {end = 1 : i64, start = 0 : i64} : (tensor<?x4x?x16xf32>) -> tensor<1xi64>
  %v12 = onnx.Concat %v11, %v9, %v2, %v8 {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<4xi64>
  %v13 = onnx.Concat %v11, %v9, %v8 {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<3xi64>
  %v14 = onnx.Constant dense<1> : tensor<i64>
  %v15 = onnx.Constant dense<0> : tensor<i64>
  %v16 = onnx.Range %v15, %v7, %v14 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %v17 = onnx.Constant dense<[-1, 1]> : tensor<2xi64>
  %v18 = onnx.Squeeze %v11, %none : (tensor<1xi64>, none) -> tensor<i64>
  %v19 = onnx.Range %v15, %v18, %v14 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %v20 = onnx.Reshape %v19, %v17 {allowzero = true} : (tensor<?xi64>, tensor<2xi64>) -> tensor<?x1xi64>
  %v21 = onnx.Max %v20, %v16 : (tensor<?x1xi64>, tensor<?xi64>) -> tensor<?x?xi64>
  %v22 = onnx.Shape %v21 {start = 0 : i64} : (tensor<?x?xi64>) -> tensor<2xi64>
  %v23 = onnx.Expand %v16, %v22 : (tensor<?xi64>, tensor<2xi64>) -> tensor<?x?xi64>
  %v24 = onnx.Unsqueeze %v23, %v0 : (tensor<?x?xi64>, tensor<1xi64>) -> tensor<?x?x1xi64>
  %v25 = onnx.Expand %v20, %v22 : (tensor<?x1xi64>, tensor<2xi64>) -> tensor<?x?xi64>
  %v26 = onnx.Unsqueeze %v25, %v0 : (tensor<?x?xi64>, tensor<1xi64>) -> tensor<?x?x1xi64>
  %v27 = onnx.Concat %v26, %v24 {axis = -1 : i64} : (tensor<?x?x1xi64>, tensor<?x?x1xi64>) -> tensor<?x?x2xi64>
  %v28 = onnx.Concat %v11, %v0 {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  %v30 = onnx.Reshape %v29, %v28 {allowzero = true} : (tensor<?x?xi64>, tensor<2xi64>) -> tensor<?x?xi64>
  %v31 = onnx.Cast %v30 : (tensor<?x?xi64>) -> tensor<?x?xi1>
  %v32 = onnx.GatherND %v31, %v27 {batch_dims = 0 : i64} : (tensor<?x?xi1>, tensor<?x?x2xi64>) -> tensor<?x?xi1>
  %v33 = onnx.Reshape %v32, %v13 {allowzero = true} : (tensor<?x?xi1>, tensor<3xi64>) -> tensor<?x1x?xi1>
  %v34 = onnx.Range %v6, %v7, %v14 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %v35 = onnx.Reshape %v34, %v17 {allowzero = true} : (tensor<?xi64>, tensor<2xi64>) -> tensor<?x1xi64>
  %v36 = onnx.LessOrEqual %v16, %v35 : (tensor<?xi64>, tensor<?x1xi64>) -> tensor<?x?xi1>
  %v37 = onnx.Constant dense<1.0> : tensor<f32>
  %v38 = onnx.Expand %v37, %v2 : (tensor<f32>, tensor<1xi64>) -> tensor<?xf32>
  %v39 = onnx.Cast %v38 : (tensor<?xf32>) -> tensor<?xi1>
  %v40 = onnx.Reshape %v39, %v17 {allowzero = true} : (tensor<?xi1>, tensor<2xi64>) -> tensor<?x1xi1>
  %v41 = onnx.And %v40, %v36 : (tensor<?x1xi1>, tensor<?x?xi1>) -> tensor<?x?xi1>
  %v42 = onnx.And %v41, %v33 : (tensor<?x?xi1>, tensor<?x1x?xi1>) -> tensor<?x?x?xi1>
  %v43 = onnx.Unsqueeze %v42, %v9 : (tensor<?x?x?xi1>, tensor<1xi64>) -> tensor<?x1x?x?xi1>
  %v44 = onnx.Reshape %v43, %v12 {allowzero = true} : (tensor<?x1x?x?xi1>, tensor<4xi64>) -> tensor<?x1x?x?xi1>
  %v45 = onnx.Expand %v44, %v12 : (tensor<?x1x?x?xi1>, tensor<4xi64>) -> tensor<?x1x?x?xi1>
  return %v45 : tensor<?x1x?x?xi1>
}
