// A linear's weight is packed for tensor cores, a look-up's is not; a format that no kernel reads is an error.
// RUN: qopt-opt %s -pass-pipeline='builtin.module(func.func(qopt-select-cuda-layouts))' -split-input-file -verify-diagnostics | FileCheck %s

// CHECK-LABEL: func @step
// CHECK: %[[T:.*]] = qopt.weight "table"
// CHECK: %[[W:.*]] = qopt.weight "w"
// CHECK: %[[P:.*]] = qopt.pack_weight %[[W]] : !qopt.weight<32x64, f16> -> !qopt.weight<32x64, f16, layout = cuda_strips>
// CHECK: %[[X:.*]] = qopt.embedding %{{.*}}, %[[T]]
// CHECK: qopt.linear %[[X]], %[[P]]
func.func @step(%ids: tensor<?xi32>) -> tensor<?x32xf16> {
  %t = qopt.weight "table" codes(dense<0.5> : tensor<8x64xf16>) : !qopt.weight<8x64, f16>
  %w = qopt.weight "w" codes(dense<0.25> : tensor<32x64xf16>) : !qopt.weight<32x64, f16>
  %x = qopt.embedding %ids, %t : tensor<?xi32>, !qopt.weight<8x64, f16> -> tensor<?x64xf16>
  %y = qopt.linear %x, %w : tensor<?x64xf16>, !qopt.weight<32x64, f16> -> tensor<?x32xf16>
  return %y : tensor<?x32xf16>
}

// -----

func.func @wide(%x: tensor<?x64xf16>) -> tensor<?x32xf16> {
  %w = qopt.weight "w" codes(dense<0.25> : tensor<32x64xf32>) : !qopt.weight<32x64, f32>
  // expected-error @+1 {{no GPU kernel reads its weight}}
  %y = qopt.linear %x, %w : tensor<?x64xf16>, !qopt.weight<32x64, f32> -> tensor<?x32xf16>
  return %y : tensor<?x32xf16>
}

// -----

// CHECK-LABEL: func @all_formats
// CHECK: pack_weight {{.*}} !qopt.weight<32x64, int3_g64, layout = cuda_strips>
// CHECK: pack_weight {{.*}} !qopt.weight<32x64, int4_g32_s6, layout = cuda_strips>
// CHECK: pack_weight {{.*}} !qopt.weight<32x64, lut4_g64, layout = cuda_strips>
func.func @all_formats(%x: tensor<?x64xf16>) -> (tensor<?x32xf16>, tensor<?x32xf16>, tensor<?x32xf16>) {
  %a = qopt.weight "a" codes(dense<1> : tensor<32x24xi8>) scales(dense<0.5> : tensor<32x1xf16>) : !qopt.weight<32x64, int3_g64>
  %y = qopt.linear %x, %a : tensor<?x64xf16>, !qopt.weight<32x64, int3_g64> -> tensor<?x32xf16>
  %b = qopt.weight "b" codes(dense<1> : tensor<32x32xi8>) scales(dense<1> : tensor<32x4xi8>) : !qopt.weight<32x64, int4_g32_s6>
  %z = qopt.linear %x, %b : tensor<?x64xf16>, !qopt.weight<32x64, int4_g32_s6> -> tensor<?x32xf16>
  %c = qopt.weight "c" codes(dense<1> : tensor<32x32xi8>) scales(dense<0.5> : tensor<32x1xf16>) zeros(dense<1> : tensor<1x16xi8>) : !qopt.weight<32x64, lut4_g64>
  %w = qopt.linear %x, %c : tensor<?x64xf16>, !qopt.weight<32x64, lut4_g64> -> tensor<?x32xf16>
  return %y, %z, %w : tensor<?x32xf16>, tensor<?x32xf16>, tensor<?x32xf16>
}

// -----

func.func @odd_groups(%x: tensor<?x96xf16>) -> tensor<?x32xf16> {
  %w = qopt.weight "w" codes(dense<1> : tensor<32x48xi8>) scales(dense<0.5> : tensor<32x2xf16>) : !qopt.weight<32x96, int4_g48>
  // expected-error @+1 {{no GPU kernel reads its weight of 32x96 in int4_g48: weight format "int4_g48" has groups of 48; expected 16, 32, 64 or a multiple of 128}}
  %y = qopt.linear %x, %w : tensor<?x96xf16>, !qopt.weight<32x96, int4_g48> -> tensor<?x32xf16>
  return %y : tensor<?x32xf16>
}

// -----

func.func @codes(%x: !qopt.quantized<?x64, int8>) -> tensor<?x32xf16> {
  %w = qopt.weight "w" codes(dense<1> : tensor<32x64xi8>) scales(dense<0.5> : tensor<32x2xf16>) : !qopt.weight<32x64, int8_g32>
  // expected-error @+1 {{no GPU kernel reads its weight of 32x64 in int8_g32: int8 activations need weights in int8 with one scale a row; got "int8_g32"; store it as int8 or keep activations in 16 bits}}
  %y = qopt.linear %x, %w : !qopt.quantized<?x64, int8>, !qopt.weight<32x64, int8_g32> -> tensor<?x32xf16>
  return %y : tensor<?x32xf16>
}
