// RUN: qopt-opt %s -qopt-fold-channel-scales -split-input-file -verify-diagnostics | FileCheck %s
// x / s is made where x is, and s multiplies the columns of the weights that read it.

// CHECK-LABEL: @norm
func.func @norm(%x: tensor<?x2xf32>) -> (tensor<?x3xf32>, tensor<?x1xf32>) {
  %scale = arith.constant dense<[3.0, 8.0]> : tensor<2xf16>
  %bias = arith.constant dense<[1.0, 2.0]> : tensor<2xf32>
  // CHECK-DAG: %[[SCALE:.*]] = arith.constant dense<[6.000000e+00, 2.000000e+00]> : tensor<2xf32>
  // CHECK-DAG: %[[BIAS:.*]] = arith.constant dense<[2.000000e+00, 5.000000e-01]> : tensor<2xf32>
  // CHECK: qopt.layer_norm %arg0, %[[SCALE]] bias(%[[BIAS]]
  %n = qopt.layer_norm %x, %scale bias(%bias : tensor<2xf32>) epsilon 1.0e-5 : tensor<?x2xf32>, tensor<2xf16> -> tensor<?x2xf32>
  // CHECK: qopt.weight "a" {{.*}} column_factors(dense<[5.000000e-01, 4.000000e+00]> : tensor<2xf32>) : !qopt.weight<3x2, f32>
  %a = qopt.weight "a" codes(dense<0.5> : tensor<3x2xf16>) : !qopt.weight<3x2, f16>
  // CHECK: qopt.weight "b" {{.*}} column_factors(dense<[5.000000e-01, 4.000000e+00]> : tensor<2xf32>) : !qopt.weight<1x2, f32>
  %b = qopt.weight "b" codes(dense<0.5> : tensor<1x2xf16>) : !qopt.weight<1x2, f16>
  // CHECK-NOT: channel_scales
  %y = qopt.linear %n, %a {qopt.channel_scales = dense<[0.5, 4.0]> : tensor<2xf32>} : tensor<?x2xf32>, !qopt.weight<3x2, f16> -> tensor<?x3xf32>
  %z = qopt.linear %n, %b : tensor<?x2xf32>, !qopt.weight<1x2, f16> -> tensor<?x1xf32>
  return %y, %z : tensor<?x3xf32>, tensor<?x1xf32>
}

// -----

// CHECK-LABEL: @gate
func.func @gate(%x: tensor<?x2xf32>, %gate: tensor<?x2xf32>) -> tensor<?x3xf32> {
  // CHECK-DAG: %[[BIAS:.*]] = arith.constant dense<[2.000000e+00, 2.500000e-01]> : tensor<2xf32>
  %bias = arith.constant dense<1.0> : tensor<2xf32>
  // CHECK-DAG: qopt.weight "up" {{.*}} row_factors(dense<[2.000000e+00, 2.500000e-01]> : tensor<2xf32>) : !qopt.weight<2x2, f32>
  %u = qopt.weight "up" codes(dense<0.5> : tensor<2x2xf16>) : !qopt.weight<2x2, f16>
  // CHECK: qopt.linear %arg0, %{{.*}} bias(%[[BIAS]]
  %up = qopt.linear %x, %u bias(%bias : tensor<2xf32>) : tensor<?x2xf32>, !qopt.weight<2x2, f16> -> tensor<?x2xf32>
  %g = qopt.gated_activation silu %gate, %up : tensor<?x2xf32> -> tensor<?x2xf32>
  // CHECK: qopt.weight "down" {{.*}} column_factors(dense<[5.000000e-01, 4.000000e+00]> : tensor<2xf32>)
  %d = qopt.weight "down" codes(dense<0.5> : tensor<3x2xf16>) : !qopt.weight<3x2, f16>
  %y = qopt.linear %g, %d {qopt.channel_scales = dense<[0.5, 4.0]> : tensor<2xf32>} : tensor<?x2xf32>, !qopt.weight<3x2, f16> -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// -----

!cache = !qopt.kv_cache<layers = 1, kv_heads = 1, head_size = 2, key = f16, value = f16, page = 16>

// Two heads of queries read the one of values.
// CHECK-LABEL: @attention
func.func @attention(%x: tensor<4x2xf32>, %q: tensor<4x2x2xf32>, %k: tensor<4x1x2xf32>, %cache: !cache, %batch: !qopt.batch) -> tensor<4x3xf32> {
  // CHECK: qopt.weight "v" {{.*}} row_factors(dense<[2.000000e+00, 2.500000e-01]> : tensor<2xf32>)
  %wv = qopt.weight "v" codes(dense<0.5> : tensor<2x2xf16>) : !qopt.weight<2x2, f16>
  %v = qopt.linear %x, %wv : tensor<4x2xf32>, !qopt.weight<2x2, f16> -> tensor<4x2xf32>
  %heads = tensor.expand_shape %v [[0], [1, 2]] output_shape [4, 1, 2] : tensor<4x2xf32> into tensor<4x1x2xf32>
  %next = qopt.kv_append %cache, %k, %heads, %batch layer 0 : !cache, tensor<4x1x2xf32>
  %a = qopt.cached_attention %q, %next, %batch layer 0 scale 1.0 : tensor<4x2x2xf32>, !cache
  %flat = tensor.collapse_shape %a [[0], [1, 2]] : tensor<4x2x2xf32> into tensor<4x4xf32>
  // CHECK: qopt.weight "o" {{.*}} column_factors(dense<[5.000000e-01, 4.000000e+00, 5.000000e-01, 4.000000e+00]> : tensor<4xf32>)
  %wo = qopt.weight "o" codes(dense<0.5> : tensor<3x4xf16>) : !qopt.weight<3x4, f16>
  %y = qopt.linear %flat, %wo {qopt.channel_scales = dense<[0.5, 4.0, 0.5, 4.0]> : tensor<4xf32>} : tensor<4x4xf32>, !qopt.weight<3x4, f16> -> tensor<4x3xf32>
  return %y : tensor<4x3xf32>
}

// -----

func.func @read_elsewhere(%x: tensor<?x2xf32>) -> (tensor<?x3xf32>, tensor<?x2xf32>) {
  %scale = arith.constant dense<1.0> : tensor<2xf32>
  %n = qopt.rms_norm %x, %scale epsilon 1.0e-5 : tensor<?x2xf32>, tensor<2xf32> -> tensor<?x2xf32>
  %w = qopt.weight "w" codes(dense<0.5> : tensor<3x2xf16>) : !qopt.weight<3x2, f16>
  // expected-error @+1 {{its input takes no channel scales: not all that reads the tensor are linears with weights of their own}}
  %y = qopt.linear %n, %w {qopt.channel_scales = dense<[0.5, 4.0]> : tensor<2xf32>} : tensor<?x2xf32>, !qopt.weight<3x2, f16> -> tensor<?x3xf32>
  return %y, %n : tensor<?x3xf32>, tensor<?x2xf32>
}

// -----

func.func @no_producer(%x: tensor<?x2xf32>) -> tensor<?x3xf32> {
  %w = qopt.weight "w" codes(dense<0.5> : tensor<3x2xf16>) : !qopt.weight<3x2, f16>
  // expected-error @+1 {{its input takes no channel scales: what makes the tensor takes no scales}}
  %y = qopt.linear %x, %w {qopt.channel_scales = dense<[0.5, 4.0]> : tensor<2xf32>} : tensor<?x2xf32>, !qopt.weight<3x2, f16> -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// -----

func.func @not_positive(%x: tensor<?x2xf32>) -> tensor<?x3xf32> {
  %scale = arith.constant dense<1.0> : tensor<2xf32>
  %n = qopt.rms_norm %x, %scale epsilon 1.0e-5 : tensor<?x2xf32>, tensor<2xf32> -> tensor<?x2xf32>
  %w = qopt.weight "w" codes(dense<0.5> : tensor<3x2xf16>) : !qopt.weight<3x2, f16>
  // expected-error @+1 {{its channel scales are not positive, or differ where columns read one channel}}
  %y = qopt.linear %n, %w {qopt.channel_scales = dense<[0.5, 0.0]> : tensor<2xf32>} : tensor<?x2xf32>, !qopt.weight<3x2, f16> -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}
