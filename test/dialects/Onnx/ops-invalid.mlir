// What the records of the onnx dialect refuse.
// RUN: qopt-opt --split-input-file --verify-diagnostics %s

func.func @word(%x: tensor<4xf32>) {
  // expected-error @+1 {{one of none, tanh}}
  %y = onnx.Gelu %x {approximate = "cubic"} : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @axes(%x: tensor<4xf32>) {
  // expected-error @+1 {{operand #1 must be}}
  %y = onnx.Unsqueeze %x, %x : (tensor<4xf32>, tensor<4xf32>) -> tensor<1x4xf32>
  return
}

// -----

func.func @required(%x: tensor<4xf32>) {
  %none = onnx.None
  // expected-error @+1 {{operand #0 must be tensor}}
  %y = onnx.Abs %none : (none) -> tensor<4xf32>
  return
}

// -----

func.func @attribute(%x: tensor<4xf32>) {
  // expected-error @+1 {{requires attribute 'axis'}}
  %y = onnx.Concat %x : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @alone(%x: tensor<4xf32>) {
  // expected-error @+1 {{expects parent op 'onnx.If'}}
  onnx.Yield %x : tensor<4xf32>
}
