// RUN: qopt-opt %s -qopt-fuse-residual | FileCheck %s
// A sum with a linear that nothing else reads becomes the linear's residual.

!w = !qopt.weight<64x64, f32>

// CHECK-LABEL: @sum
func.func @sum(%x: tensor<?x64xf32>, %r: tensor<?x64xf32>, %w: !w) -> tensor<?x64xf32> {
  // CHECK-NEXT: %[[Y:.*]] = qopt.linear %arg0, %arg2 residual(%arg1 : tensor<?x64xf32>)
  // CHECK-NEXT: return %[[Y]]
  %y = qopt.linear %x, %w : tensor<?x64xf32>, !w -> tensor<?x64xf32>
  %s = arith.addf %r, %y : tensor<?x64xf32>
  return %s : tensor<?x64xf32>
}

#id = affine_map<(i, j) -> (i, j)>

// CHECK-LABEL: @elementwise
func.func @elementwise(%x: tensor<8x64xf32>, %r: tensor<8x64xf32>, %w: !w, %b: tensor<64xf32>) -> tensor<8x64xf32> {
  // CHECK: qopt.linear %arg0, %arg2 bias(%arg3 : tensor<64xf32>) residual(%arg1 : tensor<8x64xf32>)
  // CHECK-NOT: linalg
  %y = qopt.linear %x, %w bias(%b : tensor<64xf32>) : tensor<8x64xf32>, !w -> tensor<8x64xf32>
  %e = tensor.empty() : tensor<8x64xf32>
  %s = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]}
    ins(%y, %r : tensor<8x64xf32>, tensor<8x64xf32>) outs(%e : tensor<8x64xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %t = arith.addf %a, %c : f32
    linalg.yield %t : f32
  } -> tensor<8x64xf32>
  return %s : tensor<8x64xf32>
}

// CHECK-LABEL: @both_linears
func.func @both_linears(%x: tensor<?x64xf32>, %w: !w, %v: !w) -> tensor<?x64xf32> {
  // CHECK: %[[A:.*]] = qopt.linear %arg0, %arg1 : tensor
  // CHECK: qopt.linear %arg0, %arg2 residual(%[[A]]
  %y = qopt.linear %x, %w : tensor<?x64xf32>, !w -> tensor<?x64xf32>
  %z = qopt.linear %x, %v : tensor<?x64xf32>, !w -> tensor<?x64xf32>
  %s = arith.addf %y, %z : tensor<?x64xf32>
  return %s : tensor<?x64xf32>
}

// CHECK-LABEL: @kept
func.func @kept(%x: tensor<?x64xf32>, %r: tensor<?x64xf32>, %w: !w) -> (tensor<?x64xf32>, tensor<?x64xf32>) {
  // CHECK: arith.addf
  %y = qopt.linear %x, %w : tensor<?x64xf32>, !w -> tensor<?x64xf32>
  %s = arith.addf %r, %y : tensor<?x64xf32>
  return %s, %y : tensor<?x64xf32>, tensor<?x64xf32>
}

// CHECK-LABEL: @onnx
func.func @onnx(%x: tensor<?x64xf32> {onnx.dims = ["n", 64]}, %r: tensor<?x64xf32> {onnx.dims = ["n", 64]}, %w: !w) -> tensor<?x64xf32> {
  // CHECK-NEXT: qopt.linear %arg0, %arg2 residual(%arg1 : tensor<?x64xf32>)
  %y = qopt.linear %x, %w : tensor<?x64xf32>, !w -> tensor<?x64xf32>
  %s = "onnx.Add"(%r, %y) : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  return %s : tensor<?x64xf32>
}

// The sizes of both terms are those of one argument, seen through the norm.
// CHECK-LABEL: @same_sizes
func.func @same_sizes(%x: tensor<?x?x64xf32>, %scale: tensor<64xf32>, %w: !w) -> tensor<?x?x64xf32> {
  // CHECK: qopt.linear %{{.*}}, %arg2 residual(%arg0 : tensor<?x?x64xf32>)
  %n = qopt.rms_norm %x, %scale epsilon 1.0e-05 : tensor<?x?x64xf32>, tensor<64xf32> -> tensor<?x?x64xf32>
  %y = qopt.linear %n, %w : tensor<?x?x64xf32>, !w -> tensor<?x?x64xf32>
  %s = "onnx.Add"(%x, %y) : (tensor<?x?x64xf32>, tensor<?x?x64xf32>) -> tensor<?x?x64xf32>
  return %s : tensor<?x?x64xf32>
}

// The other term may have one row for all.
// CHECK-LABEL: @may_broadcast
func.func @may_broadcast(%x: tensor<?x64xf32> {onnx.dims = ["n", 64]}, %r: tensor<?x64xf32> {onnx.dims = ["m", 64]}, %w: !w) -> tensor<?x64xf32> {
  // CHECK: onnx.Add
  %y = qopt.linear %x, %w : tensor<?x64xf32>, !w -> tensor<?x64xf32>
  %s = "onnx.Add"(%r, %y) : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  return %s : tensor<?x64xf32>
}
