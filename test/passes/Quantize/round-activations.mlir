// RUN: qopt-opt %s -qopt-round-activations | FileCheck %s
// What operations compute is rounded once; what only moves, or is f32, is not.

// CHECK-LABEL: @step
func.func @step(%ids: tensor<?xi32>, %x: tensor<?x16xf32>) -> tensor<?x4x4xf32> {
  %scale = onnx.Constant dense<1.0> : tensor<16xf32>
  %w = qopt.weight "w" codes(dense<0.5> : tensor<16x16xf16>) : !qopt.weight<16x16, f16>
  // CHECK: %[[H:.*]] = qopt.embedding {{.*}} -> tensor<?x16xf32>
  // CHECK: %[[H16:.*]] = onnx.Cast %[[H]] {{.*}} -> tensor<?x16xf16>
  // CHECK: %[[HR:.*]] = onnx.Cast %[[H16]] {{.*}} -> tensor<?x16xf32>
  %h = qopt.embedding %ids, %w : tensor<?xi32>, !qopt.weight<16x16, f16> -> tensor<?x16xf16>
  // CHECK: %[[N:.*]] = qopt.rms_norm %[[HR]], {{.*}} -> tensor<?x16xf32>
  // CHECK: onnx.Cast %[[N]]
  // CHECK: %[[NR:.*]] = onnx.Cast
  %n = qopt.rms_norm %h, %scale epsilon 1.0e-05 : tensor<?x16xf16>, tensor<16xf32> -> tensor<?x16xf16>
  // The residual is added before the rounding.
  // CHECK: %[[Y:.*]] = qopt.linear %[[NR]], %{{.*}} residual(%[[HR]] : tensor<?x16xf32>)
  // CHECK: onnx.Cast %[[Y]]
  // CHECK: %[[YR:.*]] = onnx.Cast
  %y = qopt.linear %n, %w residual(%h : tensor<?x16xf16>) : tensor<?x16xf16>, !qopt.weight<16x16, f16> -> tensor<?x16xf16>
  // CHECK: %[[E:.*]] = tensor.expand_shape %[[YR]]
  // CHECK-NEXT: return %[[E]]
  %e = tensor.expand_shape %y [[0], [1, 2]] output_shape [1, 4, 4] : tensor<?x16xf16> into tensor<?x4x4xf16>
  %wide = onnx.Cast %e : (tensor<?x4x4xf16>) -> tensor<?x4x4xf32>
  return %wide : tensor<?x4x4xf32>
}

// CHECK-LABEL: @wide
// CHECK-NOT: onnx.Cast
func.func @wide(%x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %scale = onnx.Constant dense<1.0> : tensor<16xf32>
  %n = qopt.rms_norm %x, %scale epsilon 1.0e-05 : tensor<?x16xf32>, tensor<16xf32> -> tensor<?x16xf32>
  return %n : tensor<?x16xf32>
}
