// RUN: qopt-opt %s -pass-pipeline='builtin.module(func.func(qopt-fuse-linear,canonicalize,cse))' | FileCheck %s
// What is done to every element of a linear's result is part of its region: activations, sums, products with a number.

// CHECK-LABEL: @activation
// CHECK: qopt.fused (%[[X:.*]] = %arg0, %[[S:.*]] = %arg1, %[[C:.*]] = %arg2, %[[W:.*]] = %{{.*}}, %[[B:.*]] = %arg3)
// CHECK-NEXT: %[[N:.*]] = qopt.layer_norm %[[X]], %[[S]] bias(%[[C]]
// CHECK-NEXT: %[[Y:.*]] = qopt.linear %[[N]], %[[W]] bias(%[[B]]
// CHECK-NEXT: %[[G:.*]] = qopt.activation gelu_tanh %[[Y]]
// CHECK-NEXT: qopt.yield %[[G]]
func.func @activation(%x: tensor<?x64xf16>, %scale: tensor<64xf32>, %shift: tensor<64xf32>, %bias: tensor<64xf32>) -> tensor<?x64xf16> {
  %w = qopt.weight "w" codes(dense<0.5> : tensor<64x64xf16>) : !qopt.weight<64x64, f16>
  %n = qopt.layer_norm %x, %scale bias(%shift : tensor<64xf32>) epsilon 1.0e-05 : tensor<?x64xf16>, tensor<64xf32> -> tensor<?x64xf16>
  %y = qopt.linear %n, %w bias(%bias : tensor<64xf32>) : tensor<?x64xf16>, !qopt.weight<64x64, f16> -> tensor<?x64xf16>
  %g = qopt.activation gelu_tanh %y : tensor<?x64xf16> -> tensor<?x64xf16>
  return %g : tensor<?x64xf16>
}

// A multiplier of the residual as RaiseDecoder writes it, then the residual.
// CHECK-LABEL: @scaled_sum
// CHECK: qopt.fused (%[[X:.*]] = %arg0, %[[W:.*]] = %{{.*}}, %[[R:.*]] = %arg1)
// CHECK-DAG: %[[C:.*]] = arith.constant 2.500000e-01 : f16
// CHECK-DAG: %[[T:.*]] = tensor.dim %[[X]]
// CHECK-DAG: %[[Y:.*]] = qopt.linear %[[X]], %[[W]]
// CHECK: %[[F:.*]] = tensor.splat %[[C]][%[[T]]]
// CHECK-NEXT: %[[M:.*]] = arith.mulf %[[Y]], %[[F]]
// CHECK-NEXT: %[[A:.*]] = arith.addf %[[R]], %[[M]]
// CHECK-NEXT: qopt.yield %[[A]]
// CHECK-NOT: linalg.generic
func.func @scaled_sum(%x: tensor<?x64xf16>, %residual: tensor<?x64xf16>) -> tensor<?x64xf16> {
  %c0 = arith.constant 0 : index
  %c = arith.constant dense<0.25> : tensor<f16>
  %w = qopt.weight "w" codes(dense<0.5> : tensor<64x64xf16>) : !qopt.weight<64x64, f16>
  %y = qopt.linear %x, %w : tensor<?x64xf16>, !qopt.weight<64x64, f16> -> tensor<?x64xf16>
  %t = tensor.dim %x, %c0 : tensor<?x64xf16>
  %e = tensor.empty(%t) : tensor<?x64xf16>
  %m = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> ()>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]} ins(%y, %c : tensor<?x64xf16>, tensor<f16>) outs(%e : tensor<?x64xf16>) {
  ^bb0(%a: f16, %b: f16, %o: f16):
    %p = arith.mulf %a, %b : f16
    linalg.yield %p : f16
  } -> tensor<?x64xf16>
  %s = arith.addf %residual, %m : tensor<?x64xf16>
  return %s : tensor<?x64xf16>
}

// A product with another tensor is no step, nor is anything behind a value that two read.
// CHECK-LABEL: @no_steps
// CHECK-NOT: qopt.fused
// CHECK: return
func.func @no_steps(%x: tensor<?x64xf16>, %z: tensor<?x64xf16>) -> (tensor<?x64xf16>, tensor<?x64xf16>, tensor<?x64xf16>) {
  %w = qopt.weight "w" codes(dense<0.5> : tensor<64x64xf16>) : !qopt.weight<64x64, f16>
  %y = qopt.linear %x, %w : tensor<?x64xf16>, !qopt.weight<64x64, f16> -> tensor<?x64xf16>
  %p = arith.mulf %y, %z : tensor<?x64xf16>
  %u = qopt.linear %z, %w : tensor<?x64xf16>, !qopt.weight<64x64, f16> -> tensor<?x64xf16>
  %g = qopt.activation relu %u : tensor<?x64xf16> -> tensor<?x64xf16>
  return %p, %u, %g : tensor<?x64xf16>, tensor<?x64xf16>, tensor<?x64xf16>
}

// Keys that are not rotated are appended by the linear too; queries stay columns of its result. The number of rows is that
// of an operation of linalg ahead.
!cache = !qopt.kv_cache<layers = 1, kv_heads = 2, head_size = 16, key = f16, value = f16, page = 16>
// CHECK-LABEL: @plain_append
// CHECK: %[[R:.*]]:2 = qopt.fused (
// CHECK: %[[Y:.*]] = qopt.linear
// CHECK: %[[Q:.*]] = tensor.expand_shape
// CHECK: %[[K:.*]] = tensor.expand_shape
// CHECK: %[[V:.*]] = tensor.expand_shape
// CHECK-NEXT: %[[N:.*]] = qopt.kv_append %{{.*}}, %[[K]], %[[V]]
// CHECK-NEXT: qopt.yield %[[Q]], %[[N]]
// CHECK: qopt.cached_attention %[[R]]#0, %[[R]]#1
func.func @plain_append(%ids: tensor<?x64xf16>, %batch: !qopt.batch, %cache: !cache) -> (tensor<?x2x16xf16>, !cache) {
  %c0 = arith.constant 0 : index
  %w = qopt.weight "w" codes(dense<0.5> : tensor<96x64xf16>) : !qopt.weight<96x64, f16>
  %t = tensor.dim %ids, %c0 : tensor<?x64xf16>
  %e = tensor.empty(%t) : tensor<?x64xf16>
  %x = linalg.exp ins(%ids : tensor<?x64xf16>) outs(%e : tensor<?x64xf16>) -> tensor<?x64xf16>
  %y = qopt.linear %x, %w : tensor<?x64xf16>, !qopt.weight<96x64, f16> -> tensor<?x96xf16>
  %qs = tensor.extract_slice %y[0, 0] [%t, 32] [1, 1] : tensor<?x96xf16> to tensor<?x32xf16>
  %ks = tensor.extract_slice %y[0, 32] [%t, 32] [1, 1] : tensor<?x96xf16> to tensor<?x32xf16>
  %vs = tensor.extract_slice %y[0, 64] [%t, 32] [1, 1] : tensor<?x96xf16> to tensor<?x32xf16>
  %q = tensor.expand_shape %qs [[0], [1, 2]] output_shape [%t, 2, 16] : tensor<?x32xf16> into tensor<?x2x16xf16>
  %k = tensor.expand_shape %ks [[0], [1, 2]] output_shape [%t, 2, 16] : tensor<?x32xf16> into tensor<?x2x16xf16>
  %v = tensor.expand_shape %vs [[0], [1, 2]] output_shape [%t, 2, 16] : tensor<?x32xf16> into tensor<?x2x16xf16>
  %next = qopt.kv_append %cache, %k, %v, %batch layer 0 : !cache, tensor<?x2x16xf16>
  %a = qopt.cached_attention %q, %next, %batch layer 0 scale 0.25 : tensor<?x2x16xf16>, !cache
  return %a, %next : tensor<?x2x16xf16>, !cache
}
