// RUN: qopt-opt %s -split-input-file -verify-diagnostics
// Each constraint of qopt.weight is checked and has a message.

// (C1)
func.func @layout() {
  // expected-error @+1 {{'qopt.weight' op the layout of "w" is host_tiled; expected canonical}}
  %w = qopt.weight "w" codes(dense<0.5> : tensor<8x4xf16>) : !qopt.weight<8x4, f16, layout = host_tiled>
  return
}

// -----

// (C2)
func.func @no_scales() {
  // expected-error @+1 {{"w" has no scales; expected them in format "int8"}}
  %w = qopt.weight "w" codes(dense<1> : tensor<8x4xi8>) : !qopt.weight<8x4, int8>
  return
}

// -----

// (C2)
func.func @scales_of_floats() {
  // expected-error @+1 {{"w" has scales; expected none in format "f16"}}
  %w = qopt.weight "w" codes(dense<1.0> : tensor<8x4xf16>) scales(dense<0.5> : tensor<8xf32>) : !qopt.weight<8x4, f16>
  return
}

// -----

// (C3)
func.func @no_zeros() {
  // expected-error @+1 {{"w" has no zeros; expected them in format "int8_asym"}}
  %w = qopt.weight "w" codes(dense<1> : tensor<8x4xi8>) scales(dense<0.5> : tensor<8x1xf32>) : !qopt.weight<8x4, int8_asym>
  return
}

// -----

// (C4)
func.func @codes() {
  // expected-error @+1 {{codes of "w" have type 'tensor<8x4xi8>'; expected shape 8x2 of bytes}}
  %w = qopt.weight "w" codes(dense<1> : tensor<8x4xi8>) scales(dense<0.5> : tensor<8x1xf32>) : !qopt.weight<8x4, int4>
  return
}

// -----

// (C4)
func.func @element_type() {
  // expected-error @+1 {{codes of "w" have type 'tensor<8x4xf32>'; expected shape 8x4 of f16}}
  %w = qopt.weight "w" codes(dense<1.0> : tensor<8x4xf32>) : !qopt.weight<8x4, f16>
  return
}

// -----

// (C5)
func.func @scales() {
  // expected-error @+1 {{scales of "w" have type 'tensor<4xf32>'; expected 8 floating point numbers}}
  %w = qopt.weight "w" codes(dense<1> : tensor<8x4xi8>) scales(dense<0.5> : tensor<4xf32>) : !qopt.weight<8x4, int8>
  return
}

// -----

// (C5)
func.func @two_levels() {
  // expected-error @+1 {{scales of "w" have type 'tensor<8x10xf16>'; expected shape 8x12 of bytes}}
  %w = qopt.weight "w" codes(dense<1> : tensor<8x160xi8>) scales(dense<0.5> : tensor<8x10xf16>) : !qopt.weight<8x320, int4_g32_s6>
  return
}

// -----

// (C5)
func.func @two_levels_zeros() {
  // expected-error @+1 {{zeros of "w" have type 'tensor<8x10xi8>'; expected shape 8x5 of bytes}}
  %w = qopt.weight "w" codes(dense<1> : tensor<8x160xi8>) scales(dense<1> : tensor<8x12xi8>) zeros(dense<1> : tensor<8x10xi8>) : !qopt.weight<8x320, int4_asym_g32_s6>
  return
}

// -----

// (C5)
func.func @code_book() {
  // expected-error @+1 {{zeros of "w" have type 'tensor<8x1xi8>'; expected shape 1x16 of bytes, a code book}}
  %w = qopt.weight "w" codes(dense<1> : tensor<8x32xi8>) scales(dense<0.5> : tensor<8x1xf16>) zeros(dense<1> : tensor<8x1xi8>) : !qopt.weight<8x64, lut4_g64>
  return
}

// -----

// (C6)
func.func @transposed() {
  // expected-error @+1 {{"w" is transposed, which is not possible with encoding canonical and format "int8"}}
  %w = qopt.weight "w" codes(dense<1> : tensor<8x4xi8>) scales(dense<0.5> : tensor<8x1xf32>) transposed : !qopt.weight<8x4, int8>
  return
}

// -----

// (C7)
func.func @integers() {
  // expected-error @+1 {{the encoding of "w" is matmul_nbits, which holds integers and no integer scales; got the format "fp8_e4m3_g32"}}
  %w = qopt.weight "w" codes(dense<1> : tensor<8x1x32xi8>) scales(dense<0.5> : tensor<8x1xf16>) encoding matmul_nbits : !qopt.weight<8x32, fp8_e4m3_g32>
  return
}

// -----

// (C7)
func.func @no_code_book() {
  // expected-error @+1 {{the encoding of "w" is dequantize_linear, which holds integers, fp8 or fp4 and no integer scales; got the format "nf4_g32"}}
  %w = qopt.weight "w" codes(dense<1> : tensor<8x32xi4>) scales(dense<0.5> : tensor<8x1xf16>) encoding dequantize_linear : !qopt.weight<8x32, nf4_g32>
  return
}

// -----

// (C4)
func.func @float_codes() {
  // expected-error @+1 {{codes of "w" have type 'tensor<8x32xi4>'; expected shape 8x32 of fp4_e2m1}}
  %w = qopt.weight "w" codes(dense<1> : tensor<8x32xi4>) scales(dense<0.5> : tensor<8x1xf8E8M0FNU>) encoding dequantize_linear : !qopt.weight<8x32, mxfp4>
  return
}

// -----

// (C5)
func.func @powers_of_two() {
  // expected-error @+1 {{scales of "w" have type 'tensor<8x1xf16>'; expected 8 powers of two in f8E8M0FNU}}
  %w = qopt.weight "w" codes(dense<1.0> : tensor<8x32xf4E2M1FN>) scales(dense<0.5> : tensor<8x1xf16>) encoding dequantize_linear : !qopt.weight<8x32, mxfp4>
  return
}

// -----

// (C5)
func.func @row_of_e4m3() {
  // expected-error @+1 {{scales of "w" have type 'tensor<8x2xf8E4M3FN>'; expected shape 8x6 of bytes}}
  %w = qopt.weight "w" codes(dense<1> : tensor<8x16xi8>) scales(dense<0.5> : tensor<8x2xf8E4M3FN>) : !qopt.weight<8x32, nvfp4>
  return
}

// -----

// (C7)
func.func @one_level() {
  // expected-error @+1 {{which holds integers and no integer scales; got the format "int4_g32_s6"}}
  %w = qopt.weight "w" codes(dense<1> : tensor<8x2x16xi8>) scales(dense<1> : tensor<8x4xi8>) encoding matmul_nbits : !qopt.weight<8x64, int4_g32_s6>
  return
}

// -----

// (C8)
func.func @formats() {
  // expected-error @+1 {{"w" has the formats [4: f16, 4: int8]; expected one for all rows}}
  %w = qopt.weight "w" codes(dense<0.5> : tensor<8x4xf16>) : !qopt.weight<8x4, [4: f16, 4: int8]>
  return
}

// -----

// (C9)
func.func @factors_of_halves() {
  // expected-error @+1 {{"w" has factors and the format "f16"; expected f32}}
  %w = qopt.weight "w" codes(dense<0.5> : tensor<8x4xf16>) column_factors(dense<2.0> : tensor<4xf32>) : !qopt.weight<8x4, f16>
  return
}

// -----

// (C9)
func.func @factors_of_another_size() {
  // expected-error @+1 {{column_factors of "w" have type 'tensor<8xf32>'; expected shape 4 of f32}}
  %w = qopt.weight "w" codes(dense<0.5> : tensor<8x4xf16>) column_factors(dense<2.0> : tensor<8xf32>) : !qopt.weight<8x4, f32>
  return
}

// -----

// (C9)
func.func @factors_of_codes() {
  // expected-error @+1 {{codes of "w" have type 'tensor<8x4xi8>'; expected shape 8x4 of floating point numbers}}
  %w = qopt.weight "w" codes(dense<1> : tensor<8x4xi8>) column_factors(dense<2.0> : tensor<4xf32>) : !qopt.weight<8x4, f32>
  return
}
