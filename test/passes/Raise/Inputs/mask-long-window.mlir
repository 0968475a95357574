// A window longer than any short case is found through the constant that says where it ends.
func.func @main(%ids: tensor<?x?xi64> {qopt.name = "input_ids", onnx.dims = ["batch", "sequence"]},
                %past: tensor<?x2x?x4xf32> {qopt.name = "past_key_values.0.key", onnx.dims = ["batch", 2, "past", 4]})
    -> tensor<?x?xi1> attributes {expected = "causal, window 4096"} {
  %zero = onnx.Constant dense<0> : tensor<i64>
  %one = onnx.Constant dense<1> : tensor<i64>
  %two = onnx.Constant dense<2> : tensor<i64>
  %axes = onnx.Constant dense<1> : tensor<1xi64>
  %width = onnx.Constant dense<4096> : tensor<i64>
  %idShape = onnx.Shape %ids : (tensor<?x?xi64>) -> tensor<2xi64>
  %pastShape = onnx.Shape %past : (tensor<?x2x?x4xf32>) -> tensor<4xi64>
  %n = onnx.Gather %idShape, %one : (tensor<2xi64>, tensor<i64>) -> tensor<i64>
  %m = onnx.Gather %pastShape, %two : (tensor<4xi64>, tensor<i64>) -> tensor<i64>
  %total = onnx.Add %n, %m : (tensor<i64>, tensor<i64>) -> tensor<i64>
  %keys = onnx.Range %zero, %total, %one : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %new = onnx.Range %m, %total, %one : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %queries = onnx.Unsqueeze %new, %axes : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %before = onnx.LessOrEqual %keys, %queries : (tensor<?xi64>, tensor<?x1xi64>) -> tensor<?x?xi1>
  %edge = onnx.Sub %queries, %width : (tensor<?x1xi64>, tensor<i64>) -> tensor<?x1xi64>
  %near = onnx.Greater %keys, %edge : (tensor<?xi64>, tensor<?x1xi64>) -> tensor<?x?xi1>
  %mask = onnx.And %before, %near : (tensor<?x?xi1>, tensor<?x?xi1>) -> tensor<?x?xi1>
  return %mask : tensor<?x?xi1>
}
