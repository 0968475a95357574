// RUN: qopt-opt %s --pass-pipeline='builtin.module(func.func(qopt-differentiate-function))' --split-input-file --verify-diagnostics
// What cannot be differentiated is named, at its place.

func.func @no_gradient(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'onnx.Floor' has no gradient, and one is needed of every operation between a linear and a result}}
  %y = onnx.Floor %x : (tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// Where no gradient arrives none is needed.
func.func @aside(%x: tensor<?x8xf32>, %z: tensor<?x8xf32>) -> (tensor<?x8xf32>, tensor<?x8xi1>) {
  %p = onnx.Floor %z : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %more = onnx.Greater %p, %x : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xi1>
  %y = qopt.activation relu %x : tensor<?x8xf32> -> tensor<?x8xf32>
  return %y, %more : tensor<?x8xf32>, tensor<?x8xi1>
}

// -----

#all = affine_map<(i, j) -> (i, j)>
func.func @body(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %init = tensor.empty() : tensor<4x8xf32>
  %y = linalg.generic {indexing_maps = [#all, #all], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<4x8xf32>) outs(%init : tensor<4x8xf32>) {
  ^bb0(%in: f32, %out: f32):
    // expected-error @+1 {{has no derivative}}
    %z = math.floor %in : f32
    linalg.yield %z : f32
  } -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// -----

func.func @slice(%x: tensor<4x8xf32>, %n: index) -> tensor<4x2xf32> {
  // expected-error @+1 {{cuts at a place that is no constant, which is not differentiated}}
  %y = tensor.extract_slice %x[0, %n] [4, 2] [1, 1] : tensor<4x8xf32> to tensor<4x2xf32>
  return %y : tensor<4x2xf32>
}

// -----

func.func @gather(%x: tensor<?x8xf32>) -> tensor<2x8xf32> {
  %at = onnx.Constant dense<[0, 2]> : tensor<2xi64>
  // expected-error @+1 {{gathers at places other than one that is constant and counts from the first, which is not differentiated}}
  %y = onnx.Gather %x, %at : (tensor<?x8xf32>, tensor<2xi64>) -> tensor<2x8xf32>
  return %y : tensor<2x8xf32>
}

// -----

func.func @mean(%x: tensor<?x8xf32>) -> tensor<1x8xf32> {
  %axes = onnx.Constant dense<0> : tensor<1xi64>
  // expected-error @+1 {{reduces axes that are not constant or of a size that is not known, which is not differentiated}}
  %y = onnx.ReduceMean %x, %axes : (tensor<?x8xf32>, tensor<1xi64>) -> tensor<1x8xf32>
  return %y : tensor<1x8xf32>
}

// -----

func.func @axis(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  // expected-error @+1 {{is along another axis than the last, which is not differentiated}}
  %y = onnx.Softmax %x {axis = 0 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// -----

func.func @vector(%x: tensor<4x8xf32>, %v: tensor<8xf32>) -> tensor<4xf32> {
  // expected-error @+1 {{is a product with a vector, which is not differentiated}}
  %y = onnx.MatMul %x, %v : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @axes(%x: tensor<?x4x8xf32>, %scale: tensor<4x8xf32>) -> tensor<?x4x8xf32> {
  // expected-error @+1 {{is over more axes than the last, or over one of a size that is not known, which is not differentiated}}
  %y = onnx.RMSNormalization %x, %scale {axis = 1 : i64} : (tensor<?x4x8xf32>, tensor<4x8xf32>) -> tensor<?x4x8xf32>
  return %y : tensor<?x4x8xf32>
}

// -----

// expected-error @+1 {{a function of one block is differentiated}}
func.func private @declared(tensor<4xf32>) -> tensor<4xf32>
