// A linear's weight is packed, a look-up's is not; a group that no kernel reads is an error.
// RUN: qopt-opt %s -pass-pipeline='builtin.module(func.func(qopt-select-host-layouts))' -split-input-file -verify-diagnostics | FileCheck %s

// CHECK-LABEL: func @step
// CHECK: %[[T:.*]] = qopt.weight "table"
// CHECK: %[[W:.*]] = qopt.weight "w"
// CHECK: %[[P:.*]] = qopt.pack_weight %[[W]] : !qopt.weight<8x4, f32> -> !qopt.weight<8x4, f32, layout = host_tiled>
// CHECK: %[[X:.*]] = qopt.embedding %{{.*}}, %[[T]]
// CHECK: qopt.linear %[[X]], %[[P]]
func.func @step(%ids: tensor<?xi32>) -> tensor<?x8xf32> {
  %t = qopt.weight "table" codes(dense<0.5> : tensor<8x4xf32>) : !qopt.weight<8x4, f32>
  %w = qopt.weight "w" codes(dense<0.25> : tensor<8x4xf32>) : !qopt.weight<8x4, f32>
  %x = qopt.embedding %ids, %t : tensor<?xi32>, !qopt.weight<8x4, f32> -> tensor<?x4xf32>
  %y = qopt.linear %x, %w : tensor<?x4xf32>, !qopt.weight<8x4, f32> -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// Zero points of activations are multiplied by sums of the weight's rows.
// CHECK-LABEL: func @centred
// CHECK: qopt.pack_weight {{.*}} -> !qopt.weight<8x4, int8_asym, layout = host_tiled_sums>
func.func @centred(%x: !qopt.quantized<?x4, int8_asym>) -> tensor<?x8xf32> {
  %w = qopt.weight "w" codes(dense<5> : tensor<8x4xui8>) scales(dense<0.5> : tensor<8xf32>) zeros(dense<3> : tensor<8xui8>) encoding dequantize_linear : !qopt.weight<8x4, int8_asym>
  %y = qopt.linear %x, %w : !qopt.quantized<?x4, int8_asym>, !qopt.weight<8x4, int8_asym> -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// A tied table is packed once and read twice.
// CHECK-LABEL: func @tied
// CHECK: %[[P:.*]] = qopt.pack_weight
// CHECK-NOT: qopt.pack_weight
// CHECK: %[[X:.*]] = qopt.embedding %{{.*}}, %[[P]]
// CHECK: qopt.linear %[[X]], %[[P]]
func.func @tied(%ids: tensor<?xi32>) -> tensor<?x8xf32> {
  %w = qopt.weight "w" codes(dense<0.5> : tensor<8x4xf32>) : !qopt.weight<8x4, f32>
  %x = qopt.embedding %ids, %w : tensor<?xi32>, !qopt.weight<8x4, f32> -> tensor<?x4xf32>
  %y = qopt.linear %x, %w : tensor<?x4xf32>, !qopt.weight<8x4, f32> -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @group(%x: tensor<?x48xf32>) -> tensor<?x8xf32> {
  %w = qopt.weight "w" codes(dense<0.5> : tensor<8x48xf32>) : !qopt.weight<8x48, f32>
  %q = qopt.quantize_weight %w rtn : !qopt.weight<8x48, f32> -> !qopt.weight<8x48, int4_g24>
  // expected-error @+1 {{the host has no kernel for its weight}}
  %y = qopt.linear %x, %q : tensor<?x48xf32>, !qopt.weight<8x48, int4_g24> -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
