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

// Elementwise arithmetic that the decoder has beside its operations, too.
// CHECK-LABEL: @elementwise
func.func @elementwise(%x: tensor<?x16xf32>, %size: index) -> tensor<?x16xf32> {
  // CHECK: %[[X:.*]] = onnx.Cast %{{.*}} -> tensor<?x16xf16>
  // CHECK: %[[XR:.*]] = onnx.Cast %[[X]]
  %h = onnx.Cast %x : (tensor<?x16xf32>) -> tensor<?x16xf16>
  // CHECK: %[[S:.*]] = arith.addf %[[XR]], %[[XR]] : tensor<?x16xf32>
  // CHECK: %[[S16:.*]] = onnx.Cast %[[S]] {{.*}} -> tensor<?x16xf16>
  // CHECK: %[[SR:.*]] = onnx.Cast %[[S16]]
  %s = arith.addf %h, %h : tensor<?x16xf16>
  %three = onnx.Constant dense<3.0> : tensor<f16>
  %empty = tensor.empty(%size) : tensor<?x16xf16>
  // CHECK: %[[P:.*]] = linalg.generic {{.*}} ins(%[[SR]],
  // CHECK: onnx.Cast %[[P]] {{.*}} -> tensor<?x16xf16>
  %p = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> ()>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]} ins(%s, %three : tensor<?x16xf16>, tensor<f16>) outs(%empty : tensor<?x16xf16>) {
  ^bb0(%a: f16, %b: f16, %unused: f16):
    %product = arith.mulf %a, %b : f16
    linalg.yield %product : f16
  } -> tensor<?x16xf16>
  %wide = onnx.Cast %p : (tensor<?x16xf16>) -> tensor<?x16xf32>
  return %wide : tensor<?x16xf32>
}

// CHECK-LABEL: @wide
// CHECK-NOT: onnx.Cast
func.func @wide(%x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %scale = onnx.Constant dense<1.0> : tensor<16xf32>
  %n = qopt.rms_norm %x, %scale epsilon 1.0e-05 : tensor<?x16xf32>, tensor<16xf32> -> tensor<?x16xf32>
  return %n : tensor<?x16xf32>
}
