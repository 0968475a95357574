// RUN: qopt-opt %s -qopt-narrow-activations='type=f16' | FileCheck %s
// RUN: qopt-opt %s -qopt-narrow-activations | FileCheck %s --check-prefix=SAME
// RUN: not qopt-opt %s -qopt-narrow-activations='type=f64' 2>&1 | FileCheck %s --check-prefix=BAD
// Values are f16 inside; angles, logits and the signature stay f32.

// BAD: error: option "type" is "f64"; expected f32, f16 or bf16

// CHECK-LABEL: @step
// SAME-LABEL: @step
func.func @step(%ids: tensor<?xi32>, %positions: tensor<?xi32>) -> tensor<?x4x4xf32> {
  %scale = onnx.Constant dense<1.0> : tensor<16xf32>
  %freq = onnx.Constant dense<[1.0, 0.5]> : tensor<2xf32>
  %w = qopt.weight "w" codes(dense<0.5> : tensor<16x16xf32>) : !qopt.weight<16x16, f32>
  // SAME: qopt.embedding {{.*}} -> tensor<?x16xf32>
  // CHECK: %[[H:.*]] = qopt.embedding {{.*}} -> tensor<?x16xf16>
  %h = qopt.embedding %ids, %w : tensor<?xi32>, !qopt.weight<16x16, f32> -> tensor<?x16xf32>
  // CHECK: %[[N:.*]] = qopt.rms_norm %[[H]], %{{.*}} : tensor<?x16xf16>, tensor<16xf32> -> tensor<?x16xf16>
  %n = qopt.rms_norm %h, %scale epsilon 1.0e-05 : tensor<?x16xf32>, tensor<16xf32> -> tensor<?x16xf32>
  %e = tensor.expand_shape %n [[0], [1, 2]] output_shape [1, 4, 4] : tensor<?x16xf32> into tensor<?x4x4xf32>
  // CHECK: qopt.rotary_table {{.*}} -> tensor<?x2xf32>
  %cos, %sin = qopt.rotary_table %positions, %freq scale 1.0 : tensor<?xi32>, tensor<2xf32> -> tensor<?x2xf32>
  // CHECK: %[[R:.*]] = qopt.rotary %{{.*}} : tensor<?x4x4xf16>, tensor<?x2xf32>
  %r = qopt.rotary %e, %cos, %sin : tensor<?x4x4xf32>, tensor<?x2xf32>
  // CHECK: %[[C:.*]] = onnx.Cast %[[R]] : (tensor<?x4x4xf16>) -> tensor<?x4x4xf32>
  // CHECK: return %[[C]]
  return %r : tensor<?x4x4xf32>
}

// CHECK-LABEL: @logits
func.func @logits(%x: tensor<?x16xf32>) -> tensor<?x8xf32> {
  %w = qopt.weight "w" codes(dense<0.5> : tensor<8x16xf32>) : !qopt.weight<8x16, f32>
  // CHECK: %[[X:.*]] = onnx.Cast %arg0
  // CHECK: %[[Y:.*]] = qopt.linear %[[X]], %{{.*}} : tensor<?x16xf16>, !qopt.weight<8x16, f32> -> tensor<?x8xf32>
  // CHECK: return %[[Y]]
  %y = qopt.linear %x, %w : tensor<?x16xf32>, !qopt.weight<8x16, f32> -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// Sums and moves of what kernels exchange stay as narrow as it is; other arithmetic is done in f32.
// CHECK-LABEL: @others
func.func @others(%ids: tensor<?xi32>, %m: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %w = qopt.weight "w" codes(dense<0.5> : tensor<16x16xf32>) : !qopt.weight<16x16, f32>
  %lowest = onnx.Constant dense<-3.4e+38> : tensor<f32>
  %half = onnx.Constant dense<0.5> : tensor<f32>
  // CHECK: %[[H:.*]] = qopt.embedding {{.*}} -> tensor<?x16xf16>
  %h = qopt.embedding %ids, %w : tensor<?xi32>, !qopt.weight<16x16, f32> -> tensor<?x16xf32>
  // CHECK: %[[SCALED:.*]] = onnx.Mul %[[H]], {{.*}} -> tensor<?x16xf16>
  %scaled = onnx.Mul %h, %half : (tensor<?x16xf32>, tensor<f32>) -> tensor<?x16xf32>
  // CHECK: %[[SUM:.*]] = onnx.Add %[[SCALED]], %[[H]] {{.*}} -> tensor<?x16xf16>
  %sum = onnx.Add %scaled, %h : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  // CHECK: %[[MASK:.*]] = onnx.Mul %arg1, {{.*}} -> tensor<?x16xf32>
  %mask = onnx.Mul %m, %lowest : (tensor<?x16xf32>, tensor<f32>) -> tensor<?x16xf32>
  // CHECK: %[[WIDE:.*]] = onnx.Cast %[[SUM]] : (tensor<?x16xf16>) -> tensor<?x16xf32>
  // CHECK: %[[MASKED:.*]] = onnx.Add %[[WIDE]], %[[MASK]] {{.*}} -> tensor<?x16xf32>
  %masked = onnx.Add %sum, %mask : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
  // CHECK: %[[SOFT:.*]] = onnx.Softmax %[[MASKED]] {{.*}} -> tensor<?x16xf32>
  %soft = onnx.Softmax %masked : (tensor<?x16xf32>) -> tensor<?x16xf32>
  // CHECK: %[[X:.*]] = onnx.Cast %[[SOFT]] : (tensor<?x16xf32>) -> tensor<?x16xf16>
  // CHECK: qopt.linear %[[X]]
  %y = qopt.linear %soft, %w : tensor<?x16xf32>, !qopt.weight<16x16, f32> -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// The scale of a model's own codes stays f32, whatever computes it.
// CHECK-LABEL: func @scale_of_codes
// CHECK: qopt.from_codes %{{.*}} scale %{{.*}} zero %{{.*}} : tensor<?x64xui8>, tensor<f32>, tensor<ui8>
// CHECK: qopt.linear {{.*}} -> tensor<?x32xf16>
func.func @scale_of_codes(%x: tensor<?x64xui8>, %s: tensor<f32>, %z: tensor<ui8>, %w: !qopt.weight<32x64, int8>) -> tensor<?x32xf32> {
  %q = qopt.from_codes %x scale %s zero %z : tensor<?x64xui8>, tensor<f32>, tensor<ui8> -> !qopt.quantized<?x64, int8_asym>
  %y = qopt.linear %q, %w : !qopt.quantized<?x64, int8_asym>, !qopt.weight<32x64, int8> -> tensor<?x32xf32>
  %r = qopt.activation silu %y : tensor<?x32xf32> -> tensor<?x32xf32>
  return %r : tensor<?x32xf32>
}
