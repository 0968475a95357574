// RUN: qopt-opt %s -qopt-fuse-projections | FileCheck %s
// RUN: qopt-opt %s -qopt-fuse-projections=mixed | FileCheck %s --check-prefix=MIXED
// Linears that read the same activations in weights of one format become one; for kernels with segments, of any.

// CHECK-LABEL: @query_key_value
func.func @query_key_value(%x: tensor<?x64xf32>, %q: !qopt.weight<64x64, f16>, %k: !qopt.weight<32x64, f16>, %v: !qopt.weight<32x64, f16>) -> (tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>) {
  // CHECK: %[[W:.*]] = qopt.concat_weights %arg1, %arg2, %arg3
  // CHECK: %[[Y:.*]] = qopt.linear %arg0, %[[W]] : tensor<?x64xf32>, !qopt.weight<128x64, f16> -> tensor<?x128xf32>
  // CHECK: %[[T:.*]] = tensor.dim %arg0
  // CHECK: tensor.extract_slice %[[Y]][0, 0] [%[[T]], 64] [1, 1] : tensor<?x128xf32> to tensor<?x64xf32>
  // CHECK: tensor.extract_slice %[[Y]][0, 64] [%[[T]], 32] [1, 1] : tensor<?x128xf32> to tensor<?x32xf32>
  // CHECK: tensor.extract_slice %[[Y]][0, 96] [%[[T]], 32] [1, 1] : tensor<?x128xf32> to tensor<?x32xf32>
  %a = qopt.linear %x, %q : tensor<?x64xf32>, !qopt.weight<64x64, f16> -> tensor<?x64xf32>
  %b = qopt.linear %x, %k : tensor<?x64xf32>, !qopt.weight<32x64, f16> -> tensor<?x32xf32>
  %c = qopt.linear %x, %v : tensor<?x64xf32>, !qopt.weight<32x64, f16> -> tensor<?x32xf32>
  return %a, %b, %c : tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>
}

// The gate comes first, whatever the order of the program, and needs no slice; weights move before the linear.
// CHECK-LABEL: @gate_and_up
func.func @gate_and_up(%x: !qopt.quantized<?x64, int8_g32_sf32>, %up: !qopt.weight<128x64, int8>, %g: !qopt.weight<128x64, f16>) -> tensor<?x128xf32> {
  // CHECK: %[[G:.*]] = qopt.quantize_weight %arg2
  // CHECK: %[[W:.*]] = qopt.concat_weights %[[G]], %arg1
  // CHECK: %[[Y:.*]] = qopt.linear %arg0, %[[W]]
  // CHECK: qopt.gated_activation silu %[[Y]] : tensor<?x256xf32> -> tensor<?x128xf32>
  %b = qopt.linear %x, %up : !qopt.quantized<?x64, int8_g32_sf32>, !qopt.weight<128x64, int8> -> tensor<?x128xf32>
  %gate = qopt.quantize_weight %g rtn : !qopt.weight<128x64, f16> -> !qopt.weight<128x64, int8>
  %a = qopt.linear %x, %gate : !qopt.quantized<?x64, int8_g32_sf32>, !qopt.weight<128x64, int8> -> tensor<?x128xf32>
  %y = qopt.gated_activation silu %a, %b : tensor<?x128xf32> -> tensor<?x128xf32>
  return %y : tensor<?x128xf32>
}

// CHECK-LABEL: @biases
func.func @biases(%x: tensor<4x64xf32>, %q: !qopt.weight<2x64, f16>, %k: !qopt.weight<3x64, f16>) -> (tensor<4x2xf32>, tensor<4x3xf32>) {
  // CHECK: %[[B:.*]] = arith.constant dense<[1.{{.*}}, 2.{{.*}}, 7.{{.*}}, 7.{{.*}}, 7.{{.*}}]> : tensor<5xf32>
  // CHECK: qopt.linear {{.*}} bias(%[[B]] : tensor<5xf32>)
  %b1 = arith.constant dense<[1.0, 2.0]> : tensor<2xf32>
  %b2 = arith.constant dense<7.0> : tensor<3xf32>
  %a = qopt.linear %x, %q bias(%b1 : tensor<2xf32>) : tensor<4x64xf32>, !qopt.weight<2x64, f16> -> tensor<4x2xf32>
  %b = qopt.linear %x, %k bias(%b2 : tensor<3xf32>) : tensor<4x64xf32>, !qopt.weight<3x64, f16> -> tensor<4x3xf32>
  return %a, %b : tensor<4x2xf32>, tensor<4x3xf32>
}

// CHECK-LABEL: @other_format
// MIXED-LABEL: @other_format
func.func @other_format(%x: tensor<?x64xf32>, %q: !qopt.weight<64x64, f16>, %k: !qopt.weight<32x64, int8>) -> (tensor<?x64xf32>, tensor<?x32xf32>) {
  // CHECK-NOT: qopt.concat_weights
  // MIXED: %[[W:.*]] = qopt.concat_weights %arg1, %arg2 : {{.*}} -> !qopt.weight<96x64, [64: f16, 32: int8]>
  // MIXED: %[[Y:.*]] = qopt.linear %arg0, %[[W]]
  // MIXED: tensor.extract_slice %[[Y]][0, 64]
  %a = qopt.linear %x, %q : tensor<?x64xf32>, !qopt.weight<64x64, f16> -> tensor<?x64xf32>
  %b = qopt.linear %x, %k : tensor<?x64xf32>, !qopt.weight<32x64, int8> -> tensor<?x32xf32>
  return %a, %b : tensor<?x64xf32>, tensor<?x32xf32>
}

// Rows of another format follow whole strips only; those of one format are merged without them.
// CHECK-LABEL: @odd_rows
// MIXED-LABEL: @odd_rows
func.func @odd_rows(%x: tensor<4x64xf32>, %q: !qopt.weight<24x64, f16>, %k: !qopt.weight<32x64, int8>, %v: !qopt.weight<8x64, int8>) -> (tensor<4x24xf32>, tensor<4x32xf32>, tensor<4x8xf32>) {
  // MIXED: qopt.linear %arg0, %arg1 :
  // MIXED: qopt.concat_weights %arg2, %arg3 : {{.*}} -> !qopt.weight<40x64, int8>
  %a = qopt.linear %x, %q : tensor<4x64xf32>, !qopt.weight<24x64, f16> -> tensor<4x24xf32>
  %b = qopt.linear %x, %k : tensor<4x64xf32>, !qopt.weight<32x64, int8> -> tensor<4x32xf32>
  %c = qopt.linear %x, %v : tensor<4x64xf32>, !qopt.weight<8x64, int8> -> tensor<4x8xf32>
  return %a, %b, %c : tensor<4x24xf32>, tensor<4x32xf32>, tensor<4x8xf32>
}

// Sizes are those of what comes before the norm, which so keeps its one use.
// CHECK-LABEL: @sizes
func.func @sizes(%x: tensor<?x64xf32>, %scale: tensor<64xf32>, %q: !qopt.weight<64x64, int8>, %k: !qopt.weight<32x64, int8>) -> (tensor<?x64xf32>, tensor<?x32xf32>) {
  // CHECK: tensor.dim %arg0
  // CHECK-NOT: tensor.dim
  %n = qopt.rms_norm %x, %scale epsilon 1.0e-05 : tensor<?x64xf32>, tensor<64xf32> -> tensor<?x64xf32>
  %c = qopt.quantize %n : tensor<?x64xf32> -> !qopt.quantized<?x64, int8_g32_sf32>
  %a = qopt.linear %c, %q : !qopt.quantized<?x64, int8_g32_sf32>, !qopt.weight<64x64, int8> -> tensor<?x64xf32>
  %b = qopt.linear %c, %k : !qopt.quantized<?x64, int8_g32_sf32>, !qopt.weight<32x64, int8> -> tensor<?x32xf32>
  return %a, %b : tensor<?x64xf32>, tensor<?x32xf32>
}
