// Spelt-out and fused normalisations become one op; what only looks like one stays.
// RUN: qopt-opt %s -pass-pipeline='builtin.module(func.func(qopt-raise-norms))' | FileCheck %s

// CHECK-LABEL: func @spelt_out
// CHECK-SAME: (%[[X:.*]]: tensor<?x?x4xf32>)
// CHECK: %[[W:.*]] = onnx.Constant dense<2.0
// CHECK: %[[Y:.*]] = qopt.rms_norm %[[X]], %[[W]] epsilon
// CHECK: return %[[Y]]
func.func @spelt_out(%x: tensor<?x?x4xf32>) -> tensor<?x?x4xf32> {
  %two = onnx.Constant dense<2.0> : tensor<f32>
  %one = onnx.Constant dense<1.0> : tensor<f32>
  %epsilon = onnx.Constant dense<1.0e-5> : tensor<f32>
  %axes = onnx.Constant dense<-1> : tensor<1xi64>
  %w = onnx.Constant dense<2.0> : tensor<4xf32>
  %square = onnx.Pow %x, %two : (tensor<?x?x4xf32>, tensor<f32>) -> tensor<?x?x4xf32>
  %mean = onnx.ReduceMean %square, %axes : (tensor<?x?x4xf32>, tensor<1xi64>) -> tensor<?x?x1xf32>
  %sum = onnx.Add %mean, %epsilon : (tensor<?x?x1xf32>, tensor<f32>) -> tensor<?x?x1xf32>
  %root = onnx.Sqrt %sum : (tensor<?x?x1xf32>) -> tensor<?x?x1xf32>
  %inverse = onnx.Div %one, %root : (tensor<f32>, tensor<?x?x1xf32>) -> tensor<?x?x1xf32>
  %normed = onnx.Mul %x, %inverse : (tensor<?x?x4xf32>, tensor<?x?x1xf32>) -> tensor<?x?x4xf32>
  %y = onnx.Mul %w, %normed : (tensor<4xf32>, tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  return %y : tensor<?x?x4xf32>
}

// A mean of squares of another tensor is no norm of this one.
// CHECK-LABEL: func @of_another
// CHECK-NOT: qopt.rms_norm
func.func @of_another(%x: tensor<?x4xf32>, %z: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %two = onnx.Constant dense<2.0> : tensor<f32>
  %epsilon = onnx.Constant dense<1.0e-5> : tensor<f32>
  %axes = onnx.Constant dense<-1> : tensor<1xi64>
  %w = onnx.Constant dense<2.0> : tensor<4xf32>
  %square = onnx.Pow %z, %two : (tensor<?x4xf32>, tensor<f32>) -> tensor<?x4xf32>
  %mean = onnx.ReduceMean %square, %axes : (tensor<?x4xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %sum = onnx.Add %mean, %epsilon : (tensor<?x1xf32>, tensor<f32>) -> tensor<?x1xf32>
  %root = onnx.Sqrt %sum : (tensor<?x1xf32>) -> tensor<?x1xf32>
  %normed = onnx.Div %x, %root : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %y = onnx.Mul %w, %normed : (tensor<4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// CHECK-LABEL: func @layer
// CHECK: qopt.layer_norm %{{.*}}, %{{.*}} bias
func.func @layer(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %w = onnx.Constant dense<2.0> : tensor<4xf32>
  %b = onnx.Constant dense<1.0> : tensor<4xf32>
  %y, %mean, %deviation = onnx.LayerNormalization %x, %w, %b {axis = -1 : i64, epsilon = 1.0e-5 : f32}
    : (tensor<?x4xf32>, tensor<4xf32>, tensor<4xf32>) -> (tensor<?x4xf32>, none, none)
  return %y : tensor<?x4xf32>
}

// Nothing of qopt computes with f64.
// CHECK-LABEL: func @layer_of_doubles
// CHECK-NOT: qopt.layer_norm
func.func @layer_of_doubles(%x: tensor<?x4xf64>) -> tensor<?x4xf64> {
  %w = onnx.Constant dense<2.0> : tensor<4xf64>
  %none = onnx.None
  %y, %mean, %deviation = onnx.LayerNormalization %x, %w, %none {axis = -1 : i64, epsilon = 1.0e-5 : f32}
    : (tensor<?x4xf64>, tensor<4xf64>, none) -> (tensor<?x4xf64>, none, none)
  return %y : tensor<?x4xf64>
}

// A norm of f32 that an exporter computes in f64 is one of f32.
// CHECK-LABEL: func @in_doubles
// CHECK: qopt.rms_norm %arg0, %{{.*}} : tensor<?x4xf32>
func.func @in_doubles(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %two = onnx.Constant dense<2.0> : tensor<f64>
  %epsilon = onnx.Constant dense<1.0e-5> : tensor<f64>
  %axes = onnx.Constant dense<-1> : tensor<1xi64>
  %w = onnx.Constant dense<2.0> : tensor<4xf32>
  %wide = onnx.Cast %x : (tensor<?x4xf32>) -> tensor<?x4xf64>
  %square = onnx.Pow %wide, %two : (tensor<?x4xf64>, tensor<f64>) -> tensor<?x4xf64>
  %mean = onnx.ReduceMean %square, %axes : (tensor<?x4xf64>, tensor<1xi64>) -> tensor<?x1xf64>
  %sum = onnx.Add %mean, %epsilon : (tensor<?x1xf64>, tensor<f64>) -> tensor<?x1xf64>
  %root = onnx.Sqrt %sum : (tensor<?x1xf64>) -> tensor<?x1xf64>
  %divided = onnx.Div %wide, %root : (tensor<?x4xf64>, tensor<?x1xf64>) -> tensor<?x4xf64>
  %normed = onnx.Cast %divided : (tensor<?x4xf64>) -> tensor<?x4xf32>
  %y = onnx.Mul %w, %normed : (tensor<4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// Heads with scales of their own, behind the centred values of a layer norm; a
// vector is no bias of theirs.
// CHECK-LABEL: func @heads
// CHECK-SAME: (%[[X:.*]]: tensor<?x2x4xf32>)
// CHECK: %[[W:.*]] = onnx.Constant dense<3.0{{.*}}> : tensor<2x4xf32>
// CHECK: %[[Y:.*]] = qopt.layer_norm %[[X]], %[[W]] epsilon {{.*}} : tensor<?x2x4xf32>, tensor<2x4xf32>
// CHECK: onnx.Add %[[Y]]
func.func @heads(%x: tensor<?x2x4xf32>) -> tensor<?x2x4xf32> {
  %two = onnx.Constant dense<2.0> : tensor<f32>
  %epsilon = onnx.Constant dense<1.0e-5> : tensor<f32>
  %axes = onnx.Constant dense<-1> : tensor<1xi64>
  %w = onnx.Constant dense<3.0> : tensor<2x4xf32>
  %b = onnx.Constant dense<1.0> : tensor<4xf32>
  %mean = onnx.ReduceMean %x, %axes : (tensor<?x2x4xf32>, tensor<1xi64>) -> tensor<?x2x1xf32>
  %centred = onnx.Sub %x, %mean : (tensor<?x2x4xf32>, tensor<?x2x1xf32>) -> tensor<?x2x4xf32>
  %square = onnx.Pow %centred, %two : (tensor<?x2x4xf32>, tensor<f32>) -> tensor<?x2x4xf32>
  %variance = onnx.ReduceMean %square, %axes : (tensor<?x2x4xf32>, tensor<1xi64>) -> tensor<?x2x1xf32>
  %sum = onnx.Add %variance, %epsilon : (tensor<?x2x1xf32>, tensor<f32>) -> tensor<?x2x1xf32>
  %root = onnx.Sqrt %sum : (tensor<?x2x1xf32>) -> tensor<?x2x1xf32>
  %normed = onnx.Div %centred, %root : (tensor<?x2x4xf32>, tensor<?x2x1xf32>) -> tensor<?x2x4xf32>
  %y = onnx.Mul %w, %normed : (tensor<2x4xf32>, tensor<?x2x4xf32>) -> tensor<?x2x4xf32>
  %z = onnx.Add %y, %b : (tensor<?x2x4xf32>, tensor<4xf32>) -> tensor<?x2x4xf32>
  return %z : tensor<?x2x4xf32>
}
