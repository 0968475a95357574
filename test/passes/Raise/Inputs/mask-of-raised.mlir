// A mask whose length comes from the shape of a tensor that raising has rewritten already.
func.func @main(%ids: tensor<?x?xi64> {qopt.name = "input_ids", onnx.dims = ["batch", "sequence"]},
                %scale: tensor<4xf32>, %w: !qopt.weight<8x4, f32>)
    -> tensor<?x?xi1> attributes {expected = "causal"} {
  %x = qopt.embedding %ids, %w : tensor<?x?xi64>, !qopt.weight<8x4, f32> -> tensor<?x?x4xf32>
  %y = qopt.rms_norm %x, %scale epsilon 1.0e-5 : tensor<?x?x4xf32>, tensor<4xf32> -> tensor<?x?x4xf32>
  %shape = onnx.Shape %y : (tensor<?x?x4xf32>) -> tensor<3xi64>
  %zero = onnx.Constant dense<0> : tensor<i64>
  %one = onnx.Constant dense<1> : tensor<i64>
  %axes = onnx.Constant dense<1> : tensor<1xi64>
  %n = onnx.Gather %shape, %one : (tensor<3xi64>, tensor<i64>) -> tensor<i64>
  %keys = onnx.Range %zero, %n, %one : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %queries = onnx.Unsqueeze %keys, %axes : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %mask = onnx.LessOrEqual %keys, %queries : (tensor<?xi64>, tensor<?x1xi64>) -> tensor<?x?xi1>
  return %mask : tensor<?x?xi1>
}
