// Tables for the half-split rotation by the TorchScript exporter.
func.func @main(%v3: tensor<?x?xi64> {qopt.name = "position_ids", onnx.dims = ["batch_size", "sequence_length"]})
    -> (tensor<?x1x?x16xf32>, tensor<?x1x?x16xf32>) attributes {expected = "8 frequencies, scale 1.00, halves, position_ids"} {
  %v0 = onnx.Constant dense<[1]> : tensor<1xi64>
  %v1 = onnx.Constant dense<1.0> : tensor<f32>
  %v4 = onnx.Unsqueeze %v3, %v0 : (tensor<?x?xi64>, tensor<1xi64>) -> tensor<?x1x?xi64>
  %v5 = onnx.Cast %v4 : (tensor<?x1x?xi64>) -> tensor<?x1x?xf32>
  %v6 = onnx.Cast %v5 : (tensor<?x1x?xf32>) -> tensor<?x1x?xf32>
  %v7 = onnx.Constant dense<[-1]> : tensor<1xi64>
  %v10 = onnx.Constant dense<[0]> : tensor<1xi64>
  %v11 = onnx.Constant dense<0> : tensor<i64>
  %v12 = onnx.Shape %v3 : (tensor<?x?xi64>) -> tensor<2xi64>
  %v13 = onnx.Gather %v12, %v11 {axis = 0 : i64} : (tensor<2xi64>, tensor<i64>) -> tensor<i64>
  %v14 = onnx.Unsqueeze %v13, %v10 : (tensor<i64>, tensor<1xi64>) -> tensor<1xi64>
  %v15 = onnx.Concat %v14, %v7, %v0 {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<3xi64>
  %v16 = onnx.Reshape %v15, %v7 {allowzero = false} : (tensor<3xi64>, tensor<1xi64>) -> tensor<3xi64>
  %v17 = onnx.Shape %v16 : (tensor<3xi64>) -> tensor<1xi64>
  %v18 = onnx.ConstantOfShape %v17 {value = dense<[1]> : tensor<1xi64>} : (tensor<1xi64>) -> tensor<3xi64>
  %v19 = onnx.Constant dense<-1> : tensor<i64>
  %v20 = onnx.Mul %v18, %v19 : (tensor<3xi64>, tensor<i64>) -> tensor<3xi64>
  %v21 = onnx.Equal %v16, %v20 : (tensor<3xi64>, tensor<3xi64>) -> tensor<3xi1>
  %v22 = onnx.Where %v21, %v18, %v16 : (tensor<3xi1>, tensor<3xi64>, tensor<3xi64>) -> tensor<3xi64>
  %v23 = onnx.Constant dense<[[[1.0], [0.2586001455783844], [0.06687403470277786], [0.01729363389313221], [0.004472136031836271], [0.001156494952738285], [0.0002990697685163468], [7.733947859378532e-05]]]> : tensor<1x8x1xf32>
  %v24 = onnx.Expand %v23, %v22 : (tensor<1x8x1xf32>, tensor<3xi64>) -> tensor<?x8x?xf32>
  %v25 = onnx.Cast %v24 : (tensor<?x8x?xf32>) -> tensor<?x8x?xf32>
  %v26 = onnx.Cast %v25 : (tensor<?x8x?xf32>) -> tensor<?x8x?xf32>
  %v27 = onnx.MatMul %v26, %v6 : (tensor<?x8x?xf32>, tensor<?x1x?xf32>) -> tensor<?x8x?xf32>
  %v28 = onnx.Transpose %v27 {perm = array<i64: 0, 2, 1>} : (tensor<?x8x?xf32>) -> tensor<?x?x8xf32>
  %v29 = onnx.Concat %v28, %v28 {axis = -1 : i64} : (tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x16xf32>
  %v30 = onnx.Cos %v29 : (tensor<?x?x16xf32>) -> tensor<?x?x16xf32>
  %v31 = onnx.Mul %v30, %v1 : (tensor<?x?x16xf32>, tensor<f32>) -> tensor<?x?x16xf32>
  %v32 = onnx.Cast %v31 : (tensor<?x?x16xf32>) -> tensor<?x?x16xf32>
  %v33 = onnx.Unsqueeze %v32, %v0 : (tensor<?x?x16xf32>, tensor<1xi64>) -> tensor<?x1x?x16xf32>
  %v36 = onnx.Sin %v29 : (tensor<?x?x16xf32>) -> tensor<?x?x16xf32>
  %v37 = onnx.Mul %v36, %v1 : (tensor<?x?x16xf32>, tensor<f32>) -> tensor<?x?x16xf32>
  %v38 = onnx.Cast %v37 : (tensor<?x?x16xf32>) -> tensor<?x?x16xf32>
  %v39 = onnx.Unsqueeze %v38, %v0 : (tensor<?x?x16xf32>, tensor<1xi64>) -> tensor<?x1x?x16xf32>
  return %v33, %v39 : tensor<?x1x?x16xf32>, tensor<?x1x?x16xf32>
}
