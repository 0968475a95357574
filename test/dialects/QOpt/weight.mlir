// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// A weight says how a model file stores it, in each encoding.

// CHECK-LABEL: @float_transposed
func.func @float_transposed() -> !qopt.weight<8x4, f16> {
  // CHECK: qopt.weight "layers.0.q_proj" codes(dense<5.000000e-01> : tensor<4x8xf16>) transposed : !qopt.weight<8x4, f16>
  %w = qopt.weight "layers.0.q_proj" codes(dense<0.5> : tensor<4x8xf16>) transposed : !qopt.weight<8x4, f16>
  return %w : !qopt.weight<8x4, f16>
}

// CHECK-LABEL: @canonical
func.func @canonical() -> !qopt.weight<8x5, int4> {
  // CHECK: codes(dense<17> : tensor<8x3xi8>) scales(dense<{{.*}}> : tensor<8x1xf32>) : !qopt.weight<8x5, int4>
  %w = qopt.weight "w" codes(dense<17> : tensor<8x3xi8>) scales(dense<0.5> : tensor<8x1xf32>) : !qopt.weight<8x5, int4>
  return %w : !qopt.weight<8x5, int4>
}

// CHECK-LABEL: @short_codes
func.func @short_codes() -> (!qopt.weight<8x5, int3>, !qopt.weight<8x72, int2_asym_g64_zf>) {
  // CHECK: codes(dense<17> : tensor<8x2xi8>) {{.*}} : !qopt.weight<8x5, int3>
  %w = qopt.weight "w" codes(dense<17> : tensor<8x2xi8>) scales(dense<0.5> : tensor<8x1xf32>) : !qopt.weight<8x5, int3>
  // CHECK: codes(dense<27> : tensor<8x18xi8>) {{.*}} : !qopt.weight<8x72, int2_asym_g64_zf>
  %v = qopt.weight "v" codes(dense<27> : tensor<8x18xi8>) scales(dense<0.5> : tensor<8x2xf16>) zeros(dense<1.5> : tensor<8x2xf16>) : !qopt.weight<8x72, int2_asym_g64_zf>
  return %w, %v : !qopt.weight<8x5, int3>, !qopt.weight<8x72, int2_asym_g64_zf>
}

// CHECK-LABEL: @two_levels
func.func @two_levels() -> !qopt.weight<8x320, int4_asym_g32_s6> {
  // CHECK: scales(dense<1> : tensor<8x12xi8>) zeros(dense<2> : tensor<8x5xi8>) : !qopt.weight<8x320, int4_asym_g32_s6>
  %w = qopt.weight "w" codes(dense<17> : tensor<8x160xi8>) scales(dense<1> : tensor<8x12xi8>) zeros(dense<2> : tensor<8x5xi8>) : !qopt.weight<8x320, int4_asym_g32_s6>
  return %w : !qopt.weight<8x320, int4_asym_g32_s6>
}

// CHECK-LABEL: @code_book
func.func @code_book() -> !qopt.weight<8x64, lut3_g64> {
  // CHECK: scales(dense<5.000000e-01> : tensor<8x1xf16>) zeros(dense<3> : tensor<1x8xi8>) : !qopt.weight<8x64, lut3_g64>
  %w = qopt.weight "w" codes(dense<17> : tensor<8x24xi8>) scales(dense<0.5> : tensor<8x1xf16>) zeros(dense<3> : tensor<1x8xi8>) : !qopt.weight<8x64, lut3_g64>
  return %w : !qopt.weight<8x64, lut3_g64>
}

// CHECK-LABEL: @matmul_nbits
func.func @matmul_nbits() -> !qopt.weight<8x48, int4_asym_g32> {
  // CHECK: zeros(dense<0> : tensor<8xui8>) encoding matmul_nbits : !qopt.weight<8x48, int4_asym_g32>
  %w = qopt.weight "w" codes(dense<17> : tensor<8x2x16xui8>) scales(dense<0.5> : tensor<16xf16>) zeros(dense<0> : tensor<8xui8>) encoding matmul_nbits : !qopt.weight<8x48, int4_asym_g32>
  return %w : !qopt.weight<8x48, int4_asym_g32>
}

// CHECK-LABEL: @dequantize_linear
func.func @dequantize_linear() -> !qopt.weight<8x64, int4_g32> {
  // CHECK: transposed encoding dequantize_linear : !qopt.weight<8x64, int4_g32>
  %w = qopt.weight "w" codes(dense<1> : tensor<64x8xi4>) scales(dense<0.5> : tensor<2x8xf32>) transposed encoding dequantize_linear : !qopt.weight<8x64, int4_g32>
  return %w : !qopt.weight<8x64, int4_g32>
}

// CHECK-LABEL: @factors
func.func @factors() -> !qopt.weight<2x3, f32> {
  // CHECK: codes(dense<5.000000e-01> : tensor<2x3xf16>) row_factors(dense<[1.000000e+00, 2.000000e+00]> : tensor<2xf32>) column_factors(dense<4.000000e+00> : tensor<3xf32>) : !qopt.weight<2x3, f32>
  %w = qopt.weight "w" codes(dense<0.5> : tensor<2x3xf16>) row_factors(dense<[1.0, 2.0]> : tensor<2xf32>) column_factors(dense<4.0> : tensor<3xf32>) : !qopt.weight<2x3, f32>
  return %w : !qopt.weight<2x3, f32>
}
