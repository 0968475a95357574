// Tables for the interleaved rotation.
func.func @main(%v6: tensor<?x?xi64> {qopt.name = "position_ids", onnx.dims = ["batch_size", "sequence_length"]})
    -> (tensor<?x1x?x?xf32>, tensor<?x1x?x?xf32>) attributes {expected = "8 frequencies, scale 1.00, repeated, position_ids"} {
  %none = onnx.None
  %v0 = onnx.Constant dense<[1]> : tensor<1xi64>
  %v1 = onnx.Constant dense<1.0> : tensor<f32>
  %v3 = onnx.Constant dense<[0]> : tensor<1xi64>
  %v4 = onnx.Constant dense<2> : tensor<i64>
  %v7 = onnx.Unsqueeze %v6, %v0 : (tensor<?x?xi64>, tensor<1xi64>) -> tensor<?x1x?xi64>
  %v8 = onnx.Cast %v7 : (tensor<?x1x?xi64>) -> tensor<?x1x?xf32>
  %v9 = onnx.Cast %v8 : (tensor<?x1x?xf32>) -> tensor<?x1x?xf32>
  %v13 = onnx.Constant dense<0> : tensor<i64>
  %v14 = onnx.Shape %v6 : (tensor<?x?xi64>) -> tensor<2xi64>
  %v15 = onnx.Gather %v14, %v13 {axis = 0 : i64} : (tensor<2xi64>, tensor<i64>) -> tensor<i64>
  %v16 = onnx.Unsqueeze %v15, %v3 : (tensor<i64>, tensor<1xi64>) -> tensor<1xi64>
  %v17 = onnx.Concat %v16, %v0, %v0 {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<3xi64>
  %v21 = onnx.Unsqueeze %v15, %v3 : (tensor<i64>, tensor<1xi64>) -> tensor<1xi64>
  %v22 = onnx.Concat %v21, %v0, %v0 {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<3xi64>
  %v23 = onnx.Shape %v22 : (tensor<3xi64>) -> tensor<1xi64>
  %v24 = onnx.ConstantOfShape %v23 {value = dense<[1]> : tensor<1xi64>} : (tensor<1xi64>) -> tensor<3xi64>
  %v25 = onnx.Constant dense<[[[1.0], [0.3162277638912201], [0.10000000149011612], [0.03162277862429619], [0.009999999776482582], [0.003162277862429619], [0.0010000000474974513], [0.0003162277862429619]]]> : tensor<1x8x1xf32>
  %v26 = onnx.Expand %v25, %v24 : (tensor<1x8x1xf32>, tensor<3xi64>) -> tensor<?x8x?xf32>
  %v27 = onnx.Tile %v26, %v17 : (tensor<?x8x?xf32>, tensor<3xi64>) -> tensor<?x?x?xf32>
  %v28 = onnx.Cast %v27 : (tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
  %v29 = onnx.MatMul %v28, %v9 : (tensor<?x?x?xf32>, tensor<?x1x?xf32>) -> tensor<?x?x?xf32>
  %v30 = onnx.Transpose %v29 {perm = array<i64: 0, 2, 1>} : (tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
  %v31 = onnx.Shape %v30 : (tensor<?x?x?xf32>) -> tensor<3xi64>
  %v32 = onnx.Gather %v31, %v4 {axis = 0 : i64} : (tensor<3xi64>, tensor<i64>) -> tensor<i64>
  %v33 = onnx.Unsqueeze %v32, %v3 : (tensor<i64>, tensor<1xi64>) -> tensor<1xi64>
  %v34 = onnx.Concat %v33 {axis = 0 : i64} : (tensor<1xi64>) -> tensor<1xi64>
  %v35 = onnx.ConstantOfShape %v34 {value = dense<[2]> : tensor<1xi64>} : (tensor<1xi64>) -> tensor<?xi64>
  %v36 = onnx.Unsqueeze %v35, %v0 : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %v37 = onnx.Constant dense<1> : tensor<i64>
  %v38 = onnx.ReduceMax %v35, %none {keepdims = false} : (tensor<?xi64>, none) -> tensor<i64>
  %v39 = onnx.Cast %v38 : (tensor<i64>) -> tensor<i64>
  %v41 = onnx.Range %v13, %v39, %v37 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %v42 = onnx.Less %v41, %v36 : (tensor<?xi64>, tensor<?x1xi64>) -> tensor<?x?xi1>
  %v43 = onnx.NonZero %v42 : (tensor<?x?xi1>) -> tensor<2x?xi64>
  %v44 = onnx.Transpose %v43 {perm = array<i64: 1, 0>} : (tensor<2x?xi64>) -> tensor<?x2xi64>
  %v45 = onnx.Constant dense<[-1]> : tensor<1xi64>
  %v48 = onnx.Transpose %v29 {perm = array<i64: 1, 2, 0>} : (tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
  %v49 = onnx.Shape %v48 : (tensor<?x?x?xf32>) -> tensor<3xi64>
  %v50 = onnx.Gather %v49, %v4 {axis = 0 : i64} : (tensor<3xi64>, tensor<i64>) -> tensor<i64>
  %v51 = onnx.Unsqueeze %v50, %v3 : (tensor<i64>, tensor<1xi64>) -> tensor<1xi64>
  %v54 = onnx.Shape %v48 : (tensor<?x?x?xf32>) -> tensor<3xi64>
  %v55 = onnx.Gather %v54, %v37 {axis = 0 : i64} : (tensor<3xi64>, tensor<i64>) -> tensor<i64>
  %v56 = onnx.Unsqueeze %v55, %v3 : (tensor<i64>, tensor<1xi64>) -> tensor<1xi64>
  %v58 = onnx.Unsqueeze %v38, %v3 : (tensor<i64>, tensor<1xi64>) -> tensor<1xi64>
  %v60 = onnx.Concat %v45, %v58, %v56, %v51 {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<4xi64>
  %v61 = onnx.Reshape %v60, %v45 {allowzero = false} : (tensor<4xi64>, tensor<1xi64>) -> tensor<4xi64>
  %v62 = onnx.Shape %v61 : (tensor<4xi64>) -> tensor<1xi64>
  %v63 = onnx.ConstantOfShape %v62 {value = dense<[1]> : tensor<1xi64>} : (tensor<1xi64>) -> tensor<4xi64>
  %v64 = onnx.Constant dense<-1> : tensor<i64>
  %v65 = onnx.Mul %v63, %v64 : (tensor<4xi64>, tensor<i64>) -> tensor<4xi64>
  %v66 = onnx.Equal %v61, %v65 : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi1>
  %v67 = onnx.Where %v66, %v63, %v61 : (tensor<4xi1>, tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
  %v69 = onnx.Unsqueeze %v48, %v0 : (tensor<?x?x?xf32>, tensor<1xi64>) -> tensor<?x1x?x?xf32>
  %v70 = onnx.Expand %v69, %v67 : (tensor<?x1x?x?xf32>, tensor<4xi64>) -> tensor<?x?x?x?xf32>
  %v71 = onnx.GatherND %v70, %v44 : (tensor<?x?x?x?xf32>, tensor<?x2xi64>) -> tensor<?x?x?xf32>
  %v72 = onnx.Transpose %v71 {perm = array<i64: 2, 1, 0>} : (tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
  %v73 = onnx.Cos %v72 : (tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
  %v74 = onnx.Mul %v73, %v1 : (tensor<?x?x?xf32>, tensor<f32>) -> tensor<?x?x?xf32>
  %v75 = onnx.Cast %v74 : (tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
  %v76 = onnx.Unsqueeze %v75, %v0 : (tensor<?x?x?xf32>, tensor<1xi64>) -> tensor<?x1x?x?xf32>
  %v79 = onnx.Sin %v72 : (tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
  %v80 = onnx.Mul %v79, %v1 : (tensor<?x?x?xf32>, tensor<f32>) -> tensor<?x?x?xf32>
  %v81 = onnx.Cast %v80 : (tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
  %v82 = onnx.Unsqueeze %v81, %v0 : (tensor<?x?x?xf32>, tensor<1xi64>) -> tensor<?x1x?x?xf32>
  return %v76, %v82 : tensor<?x1x?x?xf32>, tensor<?x1x?x?xf32>
}
