// RUN: qopt-opt %s -qopt-skip-unrouted-rows | FileCheck %s
// Linears whose result is multiplied by an expert's column of a route learn it.

!up = !qopt.weight<128x64, f32>
!down = !qopt.weight<64x64, f32>
!router = !qopt.weight<4x64, f32>
#id = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i, 0)>

// The route, which stands behind the expert, comes ahead of it.
// CHECK-LABEL: @expert
func.func @expert(%x: tensor<?x64xf32>, %up: !up, %down: !down, %router: !router) -> tensor<?x64xf32> {
  // CHECK: %[[SCORES:.*]] = qopt.linear %arg0, %arg3 :
  // CHECK: %[[ROUTE:.*]] = qopt.route 1 %[[SCORES]]
  // CHECK: %[[SHARE:.*]] = tensor.extract_slice %[[ROUTE]][0, 2]
  // CHECK: %[[UP:.*]] = qopt.linear %arg0, %arg1 share(%[[SHARE]] : tensor<?x1xf32>) {taken = 2.500000e-01 : f64}
  // CHECK: %[[GATED:.*]] = qopt.gated_activation silu %[[UP]]
  // CHECK: qopt.linear %[[GATED]], %arg2 share(%[[SHARE]] : tensor<?x1xf32>) {taken = 2.500000e-01 : f64}
  %u = qopt.linear %x, %up : tensor<?x64xf32>, !up -> tensor<?x128xf32>
  %g = qopt.gated_activation silu %u : tensor<?x128xf32> -> tensor<?x64xf32>
  %y = qopt.linear %g, %down : tensor<?x64xf32>, !down -> tensor<?x64xf32>
  %zero = arith.constant 0 : index
  %n = tensor.dim %y, %zero : tensor<?x64xf32>
  %s = qopt.linear %x, %router : tensor<?x64xf32>, !router -> tensor<?x4xf32>
  %r = qopt.route 1 %s : tensor<?x4xf32>
  %t = tensor.dim %r, %zero : tensor<?x4xf32>
  %share = tensor.extract_slice %r[0, 2] [%t, 1] [1, 1] : tensor<?x4xf32> to tensor<?x1xf32>
  %e = tensor.empty(%n) : tensor<?x64xf32>
  %p = linalg.generic {indexing_maps = [#row, #id, #id], iterator_types = ["parallel", "parallel"]}
    ins(%share, %y : tensor<?x1xf32>, tensor<?x64xf32>) outs(%e : tensor<?x64xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %q = arith.mulf %b, %a : f32
    linalg.yield %q : f32
  } -> tensor<?x64xf32>
  return %p : tensor<?x64xf32>
}

// As the file wrote it. What something else reads is computed whole, and so is what that reads.
// CHECK-LABEL: @shared
func.func @shared(%x: tensor<2x3x64xf32>, %up: !up, %down: !down, %scores: tensor<2x3x4xf32>) -> (tensor<2x3x64xf32>, tensor<2x3x64xf32>) {
  %r = qopt.route 2 normalized %scores : tensor<2x3x4xf32>
  %share = tensor.extract_slice %r[0, 0, 1] [2, 3, 1] [1, 1, 1] : tensor<2x3x4xf32> to tensor<2x3x1xf32>
  // CHECK: qopt.linear %arg0, %arg1 : tensor<2x3x64xf32>
  %u = qopt.linear %x, %up : tensor<2x3x64xf32>, !up -> tensor<2x3x128xf32>
  // CHECK: %[[GATED:.*]] = qopt.gated_activation
  %g = qopt.gated_activation silu %u : tensor<2x3x128xf32> -> tensor<2x3x64xf32>
  // CHECK: qopt.linear %[[GATED]], %arg2 share(%{{.*}} : tensor<2x3x1xf32>) {taken = 5.000000e-01 : f64}
  %y = qopt.linear %g, %down : tensor<2x3x64xf32>, !down -> tensor<2x3x64xf32>
  %p = onnx.Mul %y, %share : (tensor<2x3x64xf32>, tensor<2x3x1xf32>) -> tensor<2x3x64xf32>
  return %p, %g : tensor<2x3x64xf32>, tensor<2x3x64xf32>
}

// A column that is no route's may have any value, and a sum is no product.
// CHECK-LABEL: @others
func.func @others(%x: tensor<?x64xf32>, %down: !down, %share: tensor<?x1xf32>) -> (tensor<?x64xf32>, tensor<?x64xf32>) {
  // CHECK-NOT: share(
  %y = qopt.linear %x, %down : tensor<?x64xf32>, !down -> tensor<?x64xf32>
  %p = onnx.Mul %y, %share : (tensor<?x64xf32>, tensor<?x1xf32>) -> tensor<?x64xf32>
  %z = qopt.linear %x, %down : tensor<?x64xf32>, !down -> tensor<?x64xf32>
  %s = onnx.Add %z, %share : (tensor<?x64xf32>, tensor<?x1xf32>) -> tensor<?x64xf32>
  return %p, %s : tensor<?x64xf32>, tensor<?x64xf32>
}
