// What is no function of lengths and paddings is refused: here token ids decide what is seen.
func.func @main(%ids: tensor<?x?xi64> {qopt.name = "input_ids", onnx.dims = ["batch", "sequence"]}) -> tensor<?x1x1x?xi1>
    attributes {expected = "refused: the data of argument 0 is needed but not given"} {
  %pad = onnx.Constant dense<0> : tensor<i64>
  %axes = onnx.Constant dense<[1, 2]> : tensor<2xi64>
  %real = onnx.Greater %ids, %pad : (tensor<?x?xi64>, tensor<i64>) -> tensor<?x?xi1>
  %mask = onnx.Unsqueeze %real, %axes : (tensor<?x?xi1>, tensor<2xi64>) -> tensor<?x1x1x?xi1>
  return %mask : tensor<?x1x1x?xi1>
}

// Chunks of three keys are neither causal nor a window.
func.func @chunks(%ids: tensor<?x?xi64> {qopt.name = "input_ids", onnx.dims = ["batch", "sequence"]}) -> tensor<?x?xi1>
    attributes {expected = "refused: the mask is neither causal nor a window nor a padding mask: query 0 misses key 3"} {
  %shape = onnx.Shape %ids : (tensor<?x?xi64>) -> tensor<2xi64>
  %zero = onnx.Constant dense<0> : tensor<i64>
  %one = onnx.Constant dense<1> : tensor<i64>
  %three = onnx.Constant dense<3> : tensor<i64>
  %axes = onnx.Constant dense<1> : tensor<1xi64>
  %n = onnx.Gather %shape, %one : (tensor<2xi64>, tensor<i64>) -> tensor<i64>
  %keys = onnx.Range %zero, %n, %one : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %chunk = onnx.Div %keys, %three : (tensor<?xi64>, tensor<i64>) -> tensor<?xi64>
  %row = onnx.Unsqueeze %chunk, %axes : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %mask = onnx.Equal %chunk, %row : (tensor<?xi64>, tensor<?x1xi64>) -> tensor<?x?xi1>
  return %mask : tensor<?x?xi1>
}
