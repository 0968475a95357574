// RUN: qopt-opt %s -pass-pipeline='builtin.module(func.func(qopt-fuse-linear,canonicalize,cse))' | FileCheck %s
// A linear, the norm ahead of it and what is behind it are one region; what somebody else reads, too, stays outside.

!cache = !qopt.kv_cache<layers = 1, kv_heads = 2, head_size = 16, key = f16, value = f16, page = 16>
!region = (tensor<?x2x16xf16>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x2x16xf16>, !cache, tensor<?x2x16xf16>, !qopt.batch) -> (tensor<?x2x16xf16>, !cache)

// CHECK-LABEL: @gated
// CHECK: %[[R:.*]] = qopt.fused (%[[X:.*]] = %arg0, %[[S:.*]] = %arg1, %[[W:.*]] = %{{.*}}) : ({{.*}}) -> tensor<?x32xf16> {
// CHECK-NEXT: %[[N:.*]] = qopt.rms_norm %[[X]], %[[S]]
// CHECK-NEXT: %[[Y:.*]] = qopt.linear %[[N]], %[[W]]
// CHECK-NEXT: %[[G:.*]] = qopt.gated_activation silu %[[Y]]
// CHECK-NEXT: qopt.yield %[[G]]
func.func @gated(%x: tensor<?x64xf16>, %scale: tensor<64xf16>) -> tensor<?x32xf16> {
  %w = qopt.weight "w" codes(dense<0.5> : tensor<64x64xf16>) : !qopt.weight<64x64, f16>
  %n = qopt.rms_norm %x, %scale epsilon 1.0e-05 : tensor<?x64xf16>, tensor<64xf16> -> tensor<?x64xf16>
  %y = qopt.linear %n, %w : tensor<?x64xf16>, !qopt.weight<64x64, f16> -> tensor<?x64xf16>
  %g = qopt.gated_activation silu %y : tensor<?x64xf16> -> tensor<?x32xf16>
  return %g : tensor<?x32xf16>
}

// A norm that the linear reads as its residual, too, is a tensor.
// CHECK-LABEL: @norm_and_residual
// CHECK-NOT: qopt.fused
func.func @norm_and_residual(%x: tensor<?x64xf16>, %scale: tensor<64xf16>, %w: !qopt.weight<64x64, f16>) -> tensor<?x64xf16> {
  %n = qopt.rms_norm %x, %scale epsilon 1.0e-05 : tensor<?x64xf16>, tensor<64xf16> -> tensor<?x64xf16>
  %y = qopt.linear %n, %w residual(%n : tensor<?x64xf16>) : tensor<?x64xf16>, !qopt.weight<64x64, f16> -> tensor<?x64xf16>
  return %y : tensor<?x64xf16>
}

// A norm or a quantization that makes codes is part of the region, a gate that writes them is not.
// CHECK-LABEL: @codes
// CHECK: %[[A:.*]] = qopt.fused (%[[F:.*]] = %arg0,
// CHECK-NEXT: %[[Q:.*]] = qopt.quantize %[[F]]
// CHECK-NEXT: qopt.linear %[[Q]]
// CHECK: %[[R:.*]] = qopt.fused (%[[X:.*]] = %[[A]],
// CHECK-NEXT: %[[N:.*]] = qopt.rms_norm %[[X]], {{.*}} -> !qopt.quantized<?x64, int8>
// CHECK-NEXT: %[[Y:.*]] = qopt.linear %[[N]]
// CHECK-NEXT: qopt.yield %[[Y]]
// CHECK: %[[G:.*]] = qopt.gated_activation silu %[[R]]
// CHECK: qopt.linear %[[G]]
func.func @codes(%x: tensor<?x64xf16>, %scale: tensor<64xf16>, %w: !qopt.weight<64x64, int8>, %d: !qopt.weight<64x32, int8>) -> tensor<?x64xf16> {
  %q = qopt.quantize %x : tensor<?x64xf16> -> !qopt.quantized<?x64, int8>
  %a = qopt.linear %q, %w : !qopt.quantized<?x64, int8>, !qopt.weight<64x64, int8> -> tensor<?x64xf16>
  %n = qopt.rms_norm %a, %scale epsilon 1.0e-05 : tensor<?x64xf16>, tensor<64xf16> -> !qopt.quantized<?x64, int8>
  %y = qopt.linear %n, %w : !qopt.quantized<?x64, int8>, !qopt.weight<64x64, int8> -> tensor<?x64xf16>
  %g = qopt.gated_activation silu %y : tensor<?x64xf16> -> !qopt.quantized<?x32, int8>
  %z = qopt.linear %g, %d : !qopt.quantized<?x32, int8>, !qopt.weight<64x32, int8> -> tensor<?x64xf16>
  return %z : tensor<?x64xf16>
}

// CHECK-LABEL: @shared_norm
// CHECK-COUNT-2: qopt.fused
// CHECK-NOT: qopt.rms_norm %arg0
// CHECK: return
func.func @shared_norm(%x: tensor<?x64xf16>, %scale: tensor<64xf16>) -> (tensor<?x32xf16>, tensor<?x32xf16>) {
  %w = qopt.weight "w" codes(dense<0.5> : tensor<32x64xf16>) : !qopt.weight<32x64, f16>
  %u = qopt.weight "u" codes(dense<0.25> : tensor<32x64xf16>) : !qopt.weight<32x64, f16>
  %n = qopt.rms_norm %x, %scale epsilon 1.0e-05 : tensor<?x64xf16>, tensor<64xf16> -> tensor<?x64xf16>
  %y = qopt.linear %n, %w : tensor<?x64xf16>, !qopt.weight<32x64, f16> -> tensor<?x32xf16>
  %z = qopt.linear %n, %u : tensor<?x64xf16>, !qopt.weight<32x64, f16> -> tensor<?x32xf16>
  return %y, %z : tensor<?x32xf16>, tensor<?x32xf16>
}

// A norm that somebody else reads is computed once; a gate whose linear has a bias stays a launch.
// CHECK-LABEL: @alone
// CHECK-NOT: qopt.fused
func.func @alone(%x: tensor<?x64xf16>, %scale: tensor<64xf16>, %bias: tensor<64xf16>) -> (tensor<?x32xf16>, tensor<?x64xf16>) {
  %w = qopt.weight "w" codes(dense<0.5> : tensor<64x64xf16>) : !qopt.weight<64x64, f16>
  %n = qopt.rms_norm %x, %scale epsilon 1.0e-05 : tensor<?x64xf16>, tensor<64xf16> -> tensor<?x64xf16>
  %y = qopt.linear %n, %w bias(%bias : tensor<64xf16>) : tensor<?x64xf16>, !qopt.weight<64x64, f16> -> tensor<?x64xf16>
  %g = qopt.gated_activation silu %y : tensor<?x64xf16> -> tensor<?x32xf16>
  return %g, %n : tensor<?x32xf16>, tensor<?x64xf16>
}

// CHECK-LABEL: @append
// CHECK: %[[R:.*]]:2 = qopt.fused (%[[X:.*]] = %arg0,
// CHECK: tensor.dim %[[X]]
// CHECK: %[[Y:.*]] = qopt.linear %[[X]]
// CHECK-COUNT-3: tensor.extract_slice %[[Y]]
// CHECK-COUNT-2: qopt.rotary
// CHECK-NEXT: qopt.kv_append
// CHECK-NEXT: qopt.yield
// CHECK: return %[[R]]#0, %[[R]]#1
func.func @append(%x: tensor<?x64xf16>, %cos: tensor<?x8xf32>, %sin: tensor<?x8xf32>, %batch: !qopt.batch, %cache: !cache) -> (tensor<?x2x16xf16>, !cache) {
  %c0 = arith.constant 0 : index
  %w = qopt.weight "w" codes(dense<0.5> : tensor<96x64xf16>) : !qopt.weight<96x64, f16>
  %y = qopt.linear %x, %w : tensor<?x64xf16>, !qopt.weight<96x64, f16> -> tensor<?x96xf16>
  %t = tensor.dim %x, %c0 : tensor<?x64xf16>
  %qs = tensor.extract_slice %y[0, 0] [%t, 32] [1, 1] : tensor<?x96xf16> to tensor<?x32xf16>
  %ks = tensor.extract_slice %y[0, 32] [%t, 32] [1, 1] : tensor<?x96xf16> to tensor<?x32xf16>
  %vs = tensor.extract_slice %y[0, 64] [%t, 32] [1, 1] : tensor<?x96xf16> to tensor<?x32xf16>
  %q = tensor.expand_shape %qs [[0], [1, 2]] output_shape [%t, 2, 16] : tensor<?x32xf16> into tensor<?x2x16xf16>
  %k = tensor.expand_shape %ks [[0], [1, 2]] output_shape [%t, 2, 16] : tensor<?x32xf16> into tensor<?x2x16xf16>
  %v = tensor.expand_shape %vs [[0], [1, 2]] output_shape [%t, 2, 16] : tensor<?x32xf16> into tensor<?x2x16xf16>
  %r:2 = qopt.fused (%a = %q, %c = %cos, %s = %sin, %b = %k, %h = %cache, %d = %v, %e = %batch) : !region {
    %rq = qopt.rotary %a, %c, %s : tensor<?x2x16xf16>, tensor<?x8xf32>
    %rk = qopt.rotary %b, %c, %s : tensor<?x2x16xf16>, tensor<?x8xf32>
    %next = qopt.kv_append %h, %rk, %d, %e layer 0 : !cache, tensor<?x2x16xf16>
    qopt.yield %rq, %next : tensor<?x2x16xf16>, !cache
  }
  return %r#0, %r#1 : tensor<?x2x16xf16>, !cache
}

// A launch appends all or nothing: keys that another linear computes, whose weight has another format, leave the append alone.
// CHECK-LABEL: @keys_of_another
// CHECK: qopt.linear
// CHECK: qopt.fused (
// CHECK-NEXT: qopt.rotary
// CHECK-NEXT: qopt.rotary
// CHECK-NEXT: qopt.kv_append
func.func @keys_of_another(%x: tensor<?x64xf16>, %k: tensor<?x2x16xf16>, %cos: tensor<?x8xf32>, %sin: tensor<?x8xf32>, %batch: !qopt.batch, %cache: !cache) -> (tensor<?x2x16xf16>, !cache) {
  %c0 = arith.constant 0 : index
  %w = qopt.weight "w" codes(dense<0.5> : tensor<96x64xf16>) : !qopt.weight<96x64, f16>
  %y = qopt.linear %x, %w : tensor<?x64xf16>, !qopt.weight<96x64, f16> -> tensor<?x96xf16>
  %t = tensor.dim %x, %c0 : tensor<?x64xf16>
  %qs = tensor.extract_slice %y[0, 0] [%t, 32] [1, 1] : tensor<?x96xf16> to tensor<?x32xf16>
  %vs = tensor.extract_slice %y[0, 64] [%t, 32] [1, 1] : tensor<?x96xf16> to tensor<?x32xf16>
  %q = tensor.expand_shape %qs [[0], [1, 2]] output_shape [%t, 2, 16] : tensor<?x32xf16> into tensor<?x2x16xf16>
  %v = tensor.expand_shape %vs [[0], [1, 2]] output_shape [%t, 2, 16] : tensor<?x32xf16> into tensor<?x2x16xf16>
  %r:2 = qopt.fused (%a = %q, %c = %cos, %s = %sin, %b = %k, %h = %cache, %d = %v, %e = %batch) : !region {
    %rq = qopt.rotary %a, %c, %s : tensor<?x2x16xf16>, tensor<?x8xf32>
    %rk = qopt.rotary %b, %c, %s : tensor<?x2x16xf16>, tensor<?x8xf32>
    %next = qopt.kv_append %h, %rk, %d, %e layer 0 : !cache, tensor<?x2x16xf16>
    qopt.yield %rq, %next : tensor<?x2x16xf16>, !cache
  }
  return %r#0, %r#1 : tensor<?x2x16xf16>, !cache
}

// The rows of a layer in the middle are asked of the linear itself, those of x of what came before.
// CHECK-LABEL: @append_of_a_layer
// CHECK: qopt.fused (
// CHECK: qopt.rms_norm
// CHECK-NEXT: qopt.linear
// CHECK: qopt.kv_append
func.func @append_of_a_layer(%ids: tensor<?xi32>, %scale: tensor<64xf16>, %cos: tensor<?x8xf32>, %sin: tensor<?x8xf32>, %batch: !qopt.batch, %cache: !cache) -> (tensor<?x2x16xf16>, !cache) {
  %c0 = arith.constant 0 : index
  %e = qopt.weight "e" codes(dense<0.5> : tensor<32x64xf16>) : !qopt.weight<32x64, f16>
  %w = qopt.weight "w" codes(dense<0.5> : tensor<96x64xf16>) : !qopt.weight<96x64, f16>
  %x = qopt.embedding %ids, %e : tensor<?xi32>, !qopt.weight<32x64, f16> -> tensor<?x64xf16>
  %n = qopt.rms_norm %x, %scale epsilon 1.0e-05 : tensor<?x64xf16>, tensor<64xf16> -> tensor<?x64xf16>
  %y = qopt.linear %n, %w : tensor<?x64xf16>, !qopt.weight<96x64, f16> -> tensor<?x96xf16>
  %t = tensor.dim %y, %c0 : tensor<?x96xf16>
  %qs = tensor.extract_slice %y[0, 0] [%t, 32] [1, 1] : tensor<?x96xf16> to tensor<?x32xf16>
  %ks = tensor.extract_slice %y[0, 32] [%t, 32] [1, 1] : tensor<?x96xf16> to tensor<?x32xf16>
  %vs = tensor.extract_slice %y[0, 64] [%t, 32] [1, 1] : tensor<?x96xf16> to tensor<?x32xf16>
  %q = tensor.expand_shape %qs [[0], [1, 2]] output_shape [%t, 2, 16] : tensor<?x32xf16> into tensor<?x2x16xf16>
  %k = tensor.expand_shape %ks [[0], [1, 2]] output_shape [%t, 2, 16] : tensor<?x32xf16> into tensor<?x2x16xf16>
  %v = tensor.expand_shape %vs [[0], [1, 2]] output_shape [%t, 2, 16] : tensor<?x32xf16> into tensor<?x2x16xf16>
  %r:2 = qopt.fused (%a = %q, %c = %cos, %s = %sin, %b = %k, %h = %cache, %d = %v, %f = %batch) : !region {
    %rq = qopt.rotary %a, %c, %s : tensor<?x2x16xf16>, tensor<?x8xf32>
    %rk = qopt.rotary %b, %c, %s : tensor<?x2x16xf16>, tensor<?x8xf32>
    %next = qopt.kv_append %h, %rk, %d, %f layer 0 : !cache, tensor<?x2x16xf16>
    qopt.yield %rq, %next : tensor<?x2x16xf16>, !cache
  }
  return %r#0, %r#1 : tensor<?x2x16xf16>, !cache
}
