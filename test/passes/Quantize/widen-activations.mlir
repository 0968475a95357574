// RUN: qopt-opt %s -qopt-widen-activations | FileCheck %s
// Between the arguments and the results of a function nothing is f16; weights and constant vectors are.

// CHECK-LABEL: @layer(
// CHECK-SAME: tensor<?x64xf16>) -> tensor<?x64xf16>
func.func @layer(%x: tensor<?x64xf16>) -> tensor<?x64xf16> {
  // CHECK: %[[X:.*]] = onnx.Cast %arg0 : (tensor<?x64xf16>) -> tensor<?x64xf32>
  // CHECK: %[[S:.*]] = onnx.Constant dense<{{.*}}> : tensor<64xf16>
  %scale = onnx.Constant dense<1.0> : tensor<64xf16>
  %w = qopt.weight "w" codes(dense<0.5> : tensor<64x64xf16>) : !qopt.weight<64x64, f16>
  // CHECK: %[[N:.*]] = qopt.rms_norm %[[X]], %[[S]] epsilon {{.*}} : tensor<?x64xf32>, tensor<64xf16> -> tensor<?x64xf32>
  %n = qopt.rms_norm %x, %scale epsilon 1.0e-05 : tensor<?x64xf16>, tensor<64xf16> -> tensor<?x64xf16>
  // CHECK: %[[Y:.*]] = qopt.linear %[[N]], %{{.*}} : tensor<?x64xf32>, !qopt.weight<64x64, f16> -> tensor<?x64xf32>
  %y = qopt.linear %n, %w : tensor<?x64xf16>, !qopt.weight<64x64, f16> -> tensor<?x64xf16>
  // CHECK: %[[Z:.*]] = onnx.Add %[[X]], %[[Y]] : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  %z = onnx.Add %x, %y : (tensor<?x64xf16>, tensor<?x64xf16>) -> tensor<?x64xf16>
  // CHECK: %[[R:.*]] = onnx.Cast %[[Z]] : (tensor<?x64xf32>) -> tensor<?x64xf16>
  // CHECK: return %[[R]]
  return %z : tensor<?x64xf16>
}

// A model that computes a norm in f32 casts twice; both casts go away.
// CHECK-LABEL: @casts
func.func @casts(%w: tensor<4xf32>) -> tensor<4xf32> {
  // CHECK-NEXT: %[[C:.*]] = onnx.Constant dense<2.{{.*}}> : tensor<f16>
  // CHECK-NEXT: %[[D:.*]] = onnx.Constant dense<2.{{.*}}> : tensor<f32>
  // CHECK-NEXT: %[[M:.*]] = onnx.Mul %arg0, %[[D]] : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  // CHECK-NEXT: return %[[M]]
  %c = onnx.Constant dense<2.0> : tensor<f16>
  %n = onnx.Cast %w : (tensor<4xf32>) -> tensor<4xf16>
  %m = onnx.Mul %n, %c : (tensor<4xf16>, tensor<f16>) -> tensor<4xf16>
  %o = onnx.Cast %m : (tensor<4xf16>) -> tensor<4xf32>
  return %o : tensor<4xf32>
}

// CHECK-LABEL: @filled
func.func @filled(%shape: tensor<1xi64>) -> tensor<?xf16> {
  // CHECK: onnx.ConstantOfShape %arg0 {value = dense<1.{{.*}}> : tensor<1xf32>} : (tensor<1xi64>) -> tensor<?xf32>
  %f = onnx.ConstantOfShape %shape {value = dense<1.0> : tensor<1xf16>} : (tensor<1xi64>) -> tensor<?xf16>
  return %f : tensor<?xf16>
}
