module attributes {random.options = ["--target", "cuda", "--activations", "f16"], random.runs = [[1]], random.seed = 1023 : i64} {
  func.func @graph(%n0: tensor<?x1xf32> {onnx.dims = ["n", 1], qopt.name = "x0"}) -> (tensor<?x1xf32> {qopt.name = "y"}) {
    %zero = arith.constant 0 : index
    %t = tensor.dim %n0, %zero : tensor<?x1xf32>
    %v0 = arith.constant dense<"0x940F6F3F"> : tensor<1xf32>
    %n1 = qopt.layer_norm %n0, %v0 epsilon 1.0e-05 : tensor<?x1xf32>, tensor<1xf32> -> tensor<?x1xf32>
    %w0 = qopt.weight "w0" codes(dense<"0x57DDB2BC"> : tensor<1x1xf32>) : !qopt.weight<1x1, f32>
    %n2 = qopt.linear %n1, %w0 residual(%n1 : tensor<?x1xf32>) : tensor<?x1xf32>, !qopt.weight<1x1, f32> -> tensor<?x1xf32>
    return %n2 : tensor<?x1xf32>
  }
}
