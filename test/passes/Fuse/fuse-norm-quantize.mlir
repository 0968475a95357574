// RUN: qopt-opt %s -qopt-fuse-norm-quantize | FileCheck %s
// What only quantizations read is written quantized.

!q = !qopt.quantized<?x64, int8_g32_sf32>

// CHECK-LABEL: @norm
func.func @norm(%x: tensor<?x64xf32>, %scale: tensor<64xf32>) -> !q {
  // CHECK-NEXT: %[[Q:.*]] = qopt.rms_norm {{.*}} -> !qopt.quantized<?x64, int8_g32_sf32>
  // CHECK-NEXT: return %[[Q]]
  %y = qopt.rms_norm %x, %scale epsilon 1.0e-05 : tensor<?x64xf32>, tensor<64xf32> -> tensor<?x64xf32>
  %q = qopt.quantize %y : tensor<?x64xf32> -> !q
  return %q : !q
}

// CHECK-LABEL: @twice
func.func @twice(%gate: tensor<?x64xf32>, %up: tensor<?x64xf32>) -> (!q, !q) {
  // CHECK-NEXT: %[[Q:.*]] = qopt.gated_activation silu %arg0, %arg1 : tensor<?x64xf32> -> !qopt.quantized<?x64, int8_g32_sf32>
  // CHECK-NEXT: return %[[Q]], %[[Q]]
  %y = qopt.gated_activation silu %gate, %up : tensor<?x64xf32> -> tensor<?x64xf32>
  %q = qopt.quantize %y : tensor<?x64xf32> -> !q
  %r = qopt.quantize %y : tensor<?x64xf32> -> !q
  return %q, %r : !q, !q
}

// CHECK-LABEL: @used_elsewhere
func.func @used_elsewhere(%x: tensor<?x64xf32>, %scale: tensor<64xf32>) -> (!q, tensor<?x64xf32>) {
  // CHECK: qopt.rms_norm {{.*}} -> tensor<?x64xf32>
  // CHECK: qopt.quantize
  %y = qopt.rms_norm %x, %scale epsilon 1.0e-05 : tensor<?x64xf32>, tensor<64xf32> -> tensor<?x64xf32>
  %q = qopt.quantize %y : tensor<?x64xf32> -> !q
  return %q, %y : !q, tensor<?x64xf32>
}

// CHECK-LABEL: @linear_cannot
func.func @linear_cannot(%x: tensor<?x64xf32>, %w: !qopt.weight<64x64, f32>) -> !q {
  // CHECK: qopt.quantize
  %y = qopt.linear %x, %w : tensor<?x64xf32>, !qopt.weight<64x64, f32> -> tensor<?x64xf32>
  %q = qopt.quantize %y : tensor<?x64xf32> -> !q
  return %q : !q
}

// What a linear's launch can gate, it stores in 16 bits; a gate with a bias ahead of it writes codes.
// CHECK-LABEL: @gate_of_linear
func.func @gate_of_linear(%x: tensor<?x64xf16>, %w: !qopt.weight<128x64, int8>, %bias: tensor<128xf16>) -> (!qopt.quantized<?x64, int8>, !qopt.quantized<?x64, int8>) {
  // CHECK: qopt.gated_activation silu {{.*}} -> tensor<?x64xf16>
  // CHECK: qopt.quantize
  %y = qopt.linear %x, %w : tensor<?x64xf16>, !qopt.weight<128x64, int8> -> tensor<?x128xf16>
  %g = qopt.gated_activation silu %y : tensor<?x128xf16> -> tensor<?x64xf16>
  %q = qopt.quantize %g : tensor<?x64xf16> -> !qopt.quantized<?x64, int8>
  // CHECK: qopt.gated_activation silu {{.*}} -> !qopt.quantized<?x64, int8>
  %z = qopt.linear %x, %w bias(%bias : tensor<128xf16>) : tensor<?x64xf16>, !qopt.weight<128x64, int8> -> tensor<?x128xf16>
  %h = qopt.gated_activation silu %z : tensor<?x128xf16> -> tensor<?x64xf16>
  %r = qopt.quantize %h : tensor<?x64xf16> -> !qopt.quantized<?x64, int8>
  return %q, %r : !qopt.quantized<?x64, int8>, !qopt.quantized<?x64, int8>
}

// The same of an activation.
// CHECK-LABEL: @activation_of_linear
func.func @activation_of_linear(%x: tensor<?x64xf16>, %w: !qopt.weight<64x64, int8>) -> (!qopt.quantized<?x64, int8>, !qopt.quantized<?x64, int8>) {
  // CHECK: qopt.activation relu {{.*}} -> tensor<?x64xf16>
  // CHECK: qopt.quantize
  %y = qopt.linear %x, %w : tensor<?x64xf16>, !qopt.weight<64x64, int8> -> tensor<?x64xf16>
  %g = qopt.activation relu %y : tensor<?x64xf16> -> tensor<?x64xf16>
  %q = qopt.quantize %g : tensor<?x64xf16> -> !qopt.quantized<?x64, int8>
  // CHECK: qopt.activation relu %arg0 {{.*}} -> !qopt.quantized<?x64, int8>
  %h = qopt.activation relu %x : tensor<?x64xf16> -> tensor<?x64xf16>
  %r = qopt.quantize %h : tensor<?x64xf16> -> !qopt.quantized<?x64, int8>
  return %q, %r : !qopt.quantized<?x64, int8>, !qopt.quantized<?x64, int8>
}
