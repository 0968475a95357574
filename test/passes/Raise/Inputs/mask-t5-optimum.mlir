// Relative positions in buckets that grow with the distance, looked up in a table of biases, and a causal mask.
func.func @main(%ids: tensor<?x?xi64> {qopt.name = "input_ids", onnx.dims = ["batch_size", "decoder_sequence_length"]},
                %past: tensor<?x4x?x16xf32> {qopt.name = "past_key_values.0.decoder.key", onnx.dims = ["batch_size", 4, "past_decoder_sequence_length", 16]})
    -> (tensor<?x4x?x?xf32>) attributes {expected = "causal, biases of 4 heads for 13 distances"} {
  %v0 = onnx.Constant dense<0> : tensor<i64>
  %v1 = onnx.Constant dense<1> : tensor<i64>
  %v2 = onnx.Constant dense<-1> : tensor<1xi64>
  %v3 = onnx.Constant dense<0> : tensor<1xi64>
  %v4 = onnx.Constant dense<[-1, 1]> : tensor<2xi64>
  %v5 = onnx.Constant dense<1> : tensor<1xi64>
  %v6 = onnx.Constant dense<2> : tensor<1xi64>
  %v7 = onnx.Constant dense<0.000000e+00> : tensor<f32>
  %v8 = onnx.Constant dense<-3.40282347E+38> : tensor<f32>
  %v9 = onnx.Constant dense<[-1, 1, 1, 1]> : tensor<4xi64>
  %v10 = onnx.Constant dense<0> : tensor<1x1x1xi64>
  %v12 = onnx.Constant dense<1.0> : tensor<64xf32>
  %v13 = onnx.Constant dense<4> : tensor<1xi64>
  %v14 = onnx.Constant dense<16> : tensor<1xi64>
  %v15 = onnx.Constant dense<4> : tensor<i64>
  %v16 = onnx.Constant dense<4.000000e+00> : tensor<f32>
  %v17 = onnx.Constant dense<1.38629436> : tensor<f32>
  %v25 = onnx.Shape %ids {end = 1 : i64} : (tensor<?x?xi64>) -> tensor<1xi64>
  %v26 = onnx.Shape %ids {end = 2 : i64, start = 1 : i64} : (tensor<?x?xi64>) -> tensor<1xi64>
  %v27 = onnx.Gather %v26, %v0 : (tensor<1xi64>, tensor<i64>) -> tensor<i64>
  %v28 = qopt.weight "shared.weight" codes(dense<0.0> : tensor<256x64xf32>) : !qopt.weight<256x64, f32>
  %v29 = qopt.embedding %ids, %v28 : tensor<?x?xi64>, !qopt.weight<256x64, f32> -> tensor<?x?x64xf32>
  %v30 = onnx.Shape %past {end = 3 : i64, start = 2 : i64} : (tensor<?x4x?x16xf32>) -> tensor<1xi64>
  %v31 = onnx.Gather %v30, %v0 : (tensor<1xi64>, tensor<i64>) -> tensor<i64>
  %v32 = onnx.Add %v31, %v27 : (tensor<i64>, tensor<i64>) -> tensor<i64>
  %v33 = onnx.Range %v31, %v32, %v1 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %v34 = onnx.Unsqueeze %v32, %v3 : (tensor<i64>, tensor<1xi64>) -> tensor<1xi64>
  %v35 = onnx.Concat %v25, %v34 {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  %v36 = onnx.ConstantOfShape %v35 {value = dense<1.000000e+00> : tensor<1xf32>} : (tensor<2xi64>) -> tensor<?x?xf32>
  %v37 = onnx.Shape %v29 {end = 2 : i64, start = 1 : i64} : (tensor<?x?x64xf32>) -> tensor<1xi64>
  %v38 = onnx.Shape %v36 {end = 2 : i64, start = 1 : i64} : (tensor<?x?xf32>) -> tensor<1xi64>
  %v39 = onnx.Gather %v38, %v0 : (tensor<1xi64>, tensor<i64>) -> tensor<i64>
  %v40 = onnx.Shape %v29 {end = 1 : i64} : (tensor<?x?x64xf32>) -> tensor<1xi64>
  %v41 = onnx.Concat %v37, %v38 {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  %v42 = onnx.ConstantOfShape %v41 {value = dense<-3.40282347E+38> : tensor<1xf32>} : (tensor<2xi64>) -> tensor<?x?xf32>
  %v43 = onnx.Range %v0, %v39, %v1 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %v44 = onnx.Reshape %v33, %v4 : (tensor<?xi64>, tensor<2xi64>) -> tensor<?x1xi64>
  %v45 = onnx.Greater %v43, %v44 : (tensor<?xi64>, tensor<?x1xi64>) -> tensor<?x?xi1>
  %v46 = onnx.Cast %v45 : (tensor<?x?xi1>) -> tensor<?x?xf32>
  %v47 = onnx.Mul %v42, %v46 : (tensor<?x?xf32>, tensor<?x?xf32>) -> tensor<?x?xf32>
  %v48 = onnx.Unsqueeze %v47, %v3 : (tensor<?x?xf32>, tensor<1xi64>) -> tensor<1x?x?xf32>
  %v49 = onnx.Unsqueeze %v48, %v5 : (tensor<1x?x?xf32>, tensor<1xi64>) -> tensor<1x1x?x?xf32>
  %v50 = onnx.Concat %v40, %v5, %v5, %v5 {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<4xi64>
  %v51 = onnx.Expand %v49, %v50 : (tensor<1x1x?x?xf32>, tensor<4xi64>) -> tensor<?x1x?x?xf32>
  %v52 = onnx.Unsqueeze %v36, %v5 : (tensor<?x?xf32>, tensor<1xi64>) -> tensor<?x1x?xf32>
  %v53 = onnx.Unsqueeze %v52, %v6 : (tensor<?x1x?xf32>, tensor<1xi64>) -> tensor<?x1x1x?xf32>
  %v54 = onnx.Add %v51, %v53 : (tensor<?x1x?x?xf32>, tensor<?x1x1x?xf32>) -> tensor<?x1x?x?xf32>
  %v55 = onnx.Equal %v54, %v7 : (tensor<?x1x?x?xf32>, tensor<f32>) -> tensor<?x1x?x?xi1>
  %v56 = onnx.Where %v55, %v8, %v51 : (tensor<?x1x?x?xi1>, tensor<f32>, tensor<?x1x?x?xf32>) -> tensor<?x1x?x?xf32>
  %v57 = onnx.Shape %v51 {end = 1 : i64} : (tensor<?x1x?x?xf32>) -> tensor<1xi64>
  %v58 = onnx.Gather %v57, %v0 : (tensor<1xi64>, tensor<i64>) -> tensor<i64>
  %v59 = onnx.Range %v0, %v58, %v1 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %v60 = onnx.Shape %v51 {end = 3 : i64, start = 2 : i64} : (tensor<?x1x?x?xf32>) -> tensor<1xi64>
  %v61 = onnx.Gather %v60, %v0 : (tensor<1xi64>, tensor<i64>) -> tensor<i64>
  %v62 = onnx.Range %v0, %v61, %v1 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %v63 = onnx.Shape %v51 {end = 4 : i64, start = 3 : i64} : (tensor<?x1x?x?xf32>) -> tensor<1xi64>
  %v64 = onnx.Gather %v63, %v0 : (tensor<1xi64>, tensor<i64>) -> tensor<i64>
  %v65 = onnx.Range %v0, %v64, %v1 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %v66 = onnx.Reshape %v59, %v9 : (tensor<?xi64>, tensor<4xi64>) -> tensor<?x1x1x1xi64>
  %v67 = onnx.Reshape %v62, %v4 : (tensor<?xi64>, tensor<2xi64>) -> tensor<?x1xi64>
  %v68 = onnx.Add %v66, %v67 : (tensor<?x1x1x1xi64>, tensor<?x1xi64>) -> tensor<?x1x?x1xi64>
  %v69 = onnx.Add %v68, %v65 : (tensor<?x1x?x1xi64>, tensor<?xi64>) -> tensor<?x1x?x?xi64>
  %v70 = onnx.Shape %v69 : (tensor<?x1x?x?xi64>) -> tensor<4xi64>
  %v71 = onnx.Expand %v66, %v70 : (tensor<?x1x1x1xi64>, tensor<4xi64>) -> tensor<?x1x?x?xi64>
  %v72 = onnx.Unsqueeze %v71, %v2 : (tensor<?x1x?x?xi64>, tensor<1xi64>) -> tensor<?x1x?x?x1xi64>
  %v73 = onnx.Expand %v10, %v70 : (tensor<1x1x1xi64>, tensor<4xi64>) -> tensor<?x1x?x?xi64>
  %v74 = onnx.Unsqueeze %v73, %v2 : (tensor<?x1x?x?xi64>, tensor<1xi64>) -> tensor<?x1x?x?x1xi64>
  %v75 = onnx.Expand %v67, %v70 : (tensor<?x1xi64>, tensor<4xi64>) -> tensor<?x1x?x?xi64>
  %v76 = onnx.Unsqueeze %v75, %v2 : (tensor<?x1x?x?xi64>, tensor<1xi64>) -> tensor<?x1x?x?x1xi64>
  %v77 = onnx.Expand %v65, %v70 : (tensor<?xi64>, tensor<4xi64>) -> tensor<?x1x?x?xi64>
  %v78 = onnx.Unsqueeze %v77, %v2 : (tensor<?x1x?x?xi64>, tensor<1xi64>) -> tensor<?x1x?x?x1xi64>
  %v79 = onnx.Concat %v72, %v74, %v76, %v78 {axis = -1 : i64} : (tensor<?x1x?x?x1xi64>, tensor<?x1x?x?x1xi64>, tensor<?x1x?x?x1xi64>, tensor<?x1x?x?x1xi64>) -> tensor<?x1x?x?x4xi64>
  %v80 = onnx.ScatterND %v51, %v79, %v56 : (tensor<?x1x?x?xf32>, tensor<?x1x?x?x4xi64>, tensor<?x1x?x?xf32>) -> tensor<?x1x?x?xf32>
  %v86 = qopt.rms_norm %v29, %v12 epsilon 9.99999997E-7 : tensor<?x?x64xf32>, tensor<64xf32> -> tensor<?x?x64xf32>
  %v87 = onnx.Shape %v86 {end = 1 : i64} : (tensor<?x?x64xf32>) -> tensor<1xi64>
  %v90 = onnx.Concat %v87, %v2, %v13, %v14 {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<4xi64>
  %v92 = qopt.weight "decoder.block.0.layer.0.SelfAttention.k" codes(dense<0.0> : tensor<64x64xf32>) transposed : !qopt.weight<64x64, f32>
  %v93 = qopt.linear %v86, %v92 : tensor<?x?x64xf32>, !qopt.weight<64x64, f32> -> tensor<?x?x64xf32>
  %v96 = onnx.Reshape %v93, %v90 : (tensor<?x?x64xf32>, tensor<4xi64>) -> tensor<?x?x4x16xf32>
  %v97 = onnx.Transpose %v96 {perm = array<i64: 0, 2, 1, 3>} : (tensor<?x?x4x16xf32>) -> tensor<?x4x?x16xf32>
  %v100 = onnx.Concat %past, %v97 {axis = -2 : i64} : (tensor<?x4x?x16xf32>, tensor<?x4x?x16xf32>) -> tensor<?x4x?x16xf32>
  %v102 = onnx.Shape %v100 {end = 3 : i64, start = 2 : i64} : (tensor<?x4x?x16xf32>) -> tensor<1xi64>
  %v103 = onnx.Gather %v102, %v0 : (tensor<1xi64>, tensor<i64>) -> tensor<i64>
  %v104 = onnx.Unsqueeze %v33, %v5 : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %v105 = onnx.Range %v0, %v103, %v1 : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %v106 = onnx.Unsqueeze %v105, %v3 : (tensor<?xi64>, tensor<1xi64>) -> tensor<1x?xi64>
  %v107 = onnx.Sub %v106, %v104 : (tensor<1x?xi64>, tensor<?x1xi64>) -> tensor<?x?xi64>
  %v108 = onnx.Shape %v107 : (tensor<?x?xi64>) -> tensor<2xi64>
  %v109 = onnx.ConstantOfShape %v108 {value = dense<0> : tensor<1xi64>} : (tensor<2xi64>) -> tensor<?x?xi64>
  %v110 = onnx.Min %v107, %v109 : (tensor<?x?xi64>, tensor<?x?xi64>) -> tensor<?x?xi64>
  %v111 = onnx.Neg %v110 : (tensor<?x?xi64>) -> tensor<?x?xi64>
  %v112 = onnx.Less %v111, %v15 : (tensor<?x?xi64>, tensor<i64>) -> tensor<?x?xi1>
  %v113 = onnx.Cast %v111 : (tensor<?x?xi64>) -> tensor<?x?xf32>
  %v114 = onnx.Div %v113, %v16 : (tensor<?x?xf32>, tensor<f32>) -> tensor<?x?xf32>
  %v115 = onnx.Log %v114 : (tensor<?x?xf32>) -> tensor<?x?xf32>
  %v116 = onnx.Div %v115, %v17 : (tensor<?x?xf32>, tensor<f32>) -> tensor<?x?xf32>
  %v117 = onnx.Mul %v116, %v16 : (tensor<?x?xf32>, tensor<f32>) -> tensor<?x?xf32>
  %v118 = onnx.Cast %v117 : (tensor<?x?xf32>) -> tensor<?x?xi64>
  %v119 = onnx.Add %v118, %v15 : (tensor<?x?xi64>, tensor<i64>) -> tensor<?x?xi64>
  %v120 = onnx.Shape %v119 : (tensor<?x?xi64>) -> tensor<2xi64>
  %v121 = onnx.ConstantOfShape %v120 {value = dense<7> : tensor<1xi64>} : (tensor<2xi64>) -> tensor<?x?xi64>
  %v122 = onnx.Min %v119, %v121 : (tensor<?x?xi64>, tensor<?x?xi64>) -> tensor<?x?xi64>
  %v123 = onnx.Where %v112, %v111, %v122 : (tensor<?x?xi1>, tensor<?x?xi64>, tensor<?x?xi64>) -> tensor<?x?xi64>
  %v124 = qopt.weight "decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight" codes(dense<[[0.00, 0.250, -0.50, 0.500], [-0.25, 0.500, -0.75, 1.000], [-0.50, 1.250, -1.00, 2.500], [-0.75, 2.500, -1.25, 5.000], [-1.00, 4.250, -1.50, 8.500], [-1.25, 6.500, -1.75, 13.000], [-1.50, 9.250, -2.00, 18.500], [-1.75, 12.500, -2.25, 25.000]]> : tensor<8x4xf32>) : !qopt.weight<8x4, f32>
  %v125 = qopt.embedding %v123, %v124 : tensor<?x?xi64>, !qopt.weight<8x4, f32> -> tensor<?x?x4xf32>
  %v126 = onnx.Transpose %v125 {perm = array<i64: 2, 0, 1>} : (tensor<?x?x4xf32>) -> tensor<4x?x?xf32>
  %v127 = onnx.Unsqueeze %v126, %v3 : (tensor<4x?x?xf32>, tensor<1xi64>) -> tensor<1x4x?x?xf32>
  %v128 = onnx.Add %v127, %v80 : (tensor<1x4x?x?xf32>, tensor<?x1x?x?xf32>) -> tensor<?x4x?x?xf32>
  return %v128 : tensor<?x4x?x?xf32>
}
