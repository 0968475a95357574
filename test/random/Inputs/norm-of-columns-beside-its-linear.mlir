module attributes {random.options = ["--target", "cuda", "--activations", "f16"], random.runs = [[2]], random.seed = 5022 : i64} {
  func.func @graph(%n0: tensor<?x15xf32> {onnx.dims = ["n", 15], qopt.name = "x0"}) -> (tensor<?x15xf32> {qopt.name = "y"}) {
    %zero = arith.constant 0 : index
    %t = tensor.dim %n0, %zero : tensor<?x15xf32>
    %n1 = tensor.extract_slice %n0[0, 8] [%t, 3] [1, 1] : tensor<?x15xf32> to tensor<?x3xf32>
    %v0 = arith.constant dense<"0x7A5E923F2982A03F3560213F"> : tensor<3xf32>
    %n2 = qopt.layer_norm %n1, %v0 epsilon 1.0e-05 : tensor<?x3xf32>, tensor<3xf32> -> tensor<?x3xf32>
    %w0 = qopt.weight "w0" codes(dense<"0x8877A23E516A4A3BBEB930BEF8F7EA3D3A65DEBE540BCEBD4A958FBE391BA1BE9BB283BED41C8CBF311CB83EBFB2533F86008CBE0C8074BEFDA161BFD8F8983FB06D03BC42E4AABE3DC584BEF76F57BF406A72BE7F7189BE47221ABF477203BE0BE36A3FCCE4EC3F430C95BF28A38B3ECDFCAF3F1CE1D63EEFCAEDBE14A7A7BEC5891FBF0A51213DD3144FBE8A85ED3E73C8D0BEF85B3E3F234478BE3F689A3CD5E1AE3F931548BE39FD3F3EC99F9E3ECA1682BE"> : tensor<15x3xf32>) : !qopt.weight<15x3, f32>
    %n3 = qopt.linear %n2, %w0 : tensor<?x3xf32>, !qopt.weight<15x3, f32> -> tensor<?x15xf32>
    return %n3 : tensor<?x15xf32>
  }
}
