// RUN: qopt-opt %s -qopt-raise-weights | FileCheck %s
// Products and look-ups with constants read weights that say how the file stores them.

// CHECK-LABEL: @product
func.func @product(%x: tensor<?x?x8xf32>) -> tensor<?x?x4xf32> {
  // CHECK: %[[W:.*]] = qopt.weight {{.*}} codes(dense<{{.*}}> : tensor<8x4xf32>) transposed : !qopt.weight<4x8, f32>
  // CHECK: qopt.linear %arg0, %[[W]] bias(%{{.*}} : tensor<4xf32>)
  %w = onnx.Constant dense<0.5> : tensor<8x4xf32>
  %b = onnx.Constant dense<1.0> : tensor<4xf32>
  %y = onnx.MatMul %x, %w : (tensor<?x?x8xf32>, tensor<8x4xf32>) -> tensor<?x?x4xf32>
  %z = onnx.Add %b, %y : (tensor<4xf32>, tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  return %z : tensor<?x?x4xf32>
}

// CHECK-LABEL: @rows
func.func @rows(%x: tensor<?x8xf32>) -> tensor<?x4xf32> {
  // CHECK: qopt.weight {{.*}} codes(dense<{{.*}}> : tensor<4x8xf32>) : !qopt.weight<4x8, f32>
  // CHECK: qopt.linear
  %none = onnx.None
  %w = onnx.Constant dense<0.5> : tensor<4x8xf32>
  %y = onnx.Gemm %x, %w, %none {transB = true} : (tensor<?x8xf32>, tensor<4x8xf32>, none) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// A head that reads the embedding's table transposed reads the same weight.
// CHECK-LABEL: @tied
func.func @tied(%ids: tensor<?x?xi64>) -> tensor<?x?x16xf32> {
  // CHECK: qopt.weight {{.*}} codes(dense<{{.*}}> : tensor<16x8xf32>) : !qopt.weight<16x8, f32>
  // CHECK: qopt.embedding %arg0
  // CHECK: qopt.weight {{.*}} codes(dense<{{.*}}> : tensor<16x8xf32>) : !qopt.weight<16x8, f32>
  // CHECK: qopt.linear
  %table = onnx.Constant dense<0.5> : tensor<16x8xf32>
  %h = onnx.Gather %table, %ids : (tensor<16x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %head = onnx.Transpose %table {perm = array<i64: 1, 0>} : (tensor<16x8xf32>) -> tensor<8x16xf32>
  %y = onnx.MatMul %h, %head : (tensor<?x?x8xf32>, tensor<8x16xf32>) -> tensor<?x?x16xf32>
  return %y : tensor<?x?x16xf32>
}

// Quantized matrices keep the file's codes; without zero points they are symmetric.
// CHECK-LABEL: @packed
func.func @packed(%x: tensor<?x32xf32>) -> tensor<?x8xf32> {
  // CHECK: qopt.weight {{.*}} codes(dense<17> : tensor<8x2x8xui8>) scales({{.*}}) encoding matmul_nbits : !qopt.weight<8x32, int4_g16_sf32>
  // CHECK: qopt.linear
  %none = onnx.None
  %codes = onnx.Constant dense<17> : tensor<8x2x8xui8>
  %scales = onnx.Constant dense<0.5> : tensor<16xf32>
  %y = onnx.ms.MatMulNBits %x, %codes, %scales, %none, %none, %none {K = 32 : i64, N = 8 : i64, bits = 4 : i64, block_size = 16 : i64} : (tensor<?x32xf32>, tensor<8x2x8xui8>, tensor<16xf32>, none, none, none) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// CHECK-LABEL: @two_bits
func.func @two_bits(%x: tensor<?x64xf32>) -> tensor<?x8xf32> {
  // CHECK: zeros({{.*}}) encoding matmul_nbits : !qopt.weight<8x64, int2_asym_g32_sf32>
  %none = onnx.None
  %codes = onnx.Constant dense<27> : tensor<8x2x8xui8>
  %scales = onnx.Constant dense<0.5> : tensor<16xf32>
  %zeros = onnx.Constant dense<9> : tensor<8xui8>
  %y = onnx.ms.MatMulNBits %x, %codes, %scales, %zeros, %none, %none {K = 64 : i64, N = 8 : i64, bits = 2 : i64, block_size = 32 : i64} : (tensor<?x64xf32>, tensor<8x2x8xui8>, tensor<16xf32>, tensor<8xui8>, none, none) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// Zero points may be fractions of the scales' type.
// CHECK-LABEL: @fractional_zeros
func.func @fractional_zeros(%x: tensor<?x16xf32>) -> tensor<?x8xf32> {
  // CHECK: zeros({{.*}}) encoding matmul_nbits : !qopt.weight<8x16, int4_asym_g16_zf_sf32>
  %none = onnx.None
  %codes = onnx.Constant dense<17> : tensor<8x1x8xui8>
  %scales = onnx.Constant dense<0.5> : tensor<8xf32>
  %zeros = onnx.Constant dense<7.5> : tensor<8xf32>
  %y = onnx.ms.MatMulNBits %x, %codes, %scales, %zeros, %none, %none {K = 16 : i64, N = 8 : i64, bits = 4 : i64, block_size = 16 : i64} : (tensor<?x16xf32>, tensor<8x1x8xui8>, tensor<8xf32>, tensor<8xf32>, none, none) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// Rows of a table that DequantizeLinear reads with blocks along them.
// CHECK-LABEL: @nibble_table
func.func @nibble_table(%ids: tensor<?xi64>) -> tensor<?x32xf32> {
  // CHECK: %[[W:.*]] = qopt.weight {{.*}} encoding dequantize_linear : !qopt.weight<8x32, int4_asym_g32_sf32>
  // CHECK: qopt.embedding %arg0, %[[W]]
  %codes = onnx.Constant dense<3> : tensor<8x32xui4>
  %scales = onnx.Constant dense<0.5> : tensor<8x1xf32>
  %zeros = onnx.Constant dense<7> : tensor<8x1xui4>
  %d = onnx.DequantizeLinear %codes, %scales, %zeros {axis = 1 : i64, block_size = 32 : i64} : (tensor<8x32xui4>, tensor<8x1xf32>, tensor<8x1xui4>) -> tensor<8x32xf32>
  %y = onnx.Gather %d, %ids : (tensor<8x32xf32>, tensor<?xi64>) -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// Blocks across the rows are no format of a table.
// CHECK-LABEL: @blocks_across
func.func @blocks_across(%ids: tensor<?xi64>) -> tensor<?x8xf32> {
  // CHECK-NOT: qopt.embedding
  // CHECK: onnx.Gather
  %none = onnx.None
  %codes = onnx.Constant dense<3> : tensor<32x8xi4>
  %scales = onnx.Constant dense<0.5> : tensor<1x8xf32>
  %d = onnx.DequantizeLinear %codes, %scales, %none {axis = 0 : i64, block_size = 32 : i64} : (tensor<32x8xi4>, tensor<1x8xf32>, none) -> tensor<32x8xf32>
  %y = onnx.Gather %d, %ids : (tensor<32x8xf32>, tensor<?xi64>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// A product of two activations is no linear.
// Floating point codes and powers of two, with blocks along the columns of either order of axes.
// CHECK-LABEL: @float_codes
func.func @float_codes(%x: tensor<?x32xf32>) -> tensor<?x4xf32> {
  // CHECK: qopt.weight {{.*}} transposed encoding dequantize_linear : !qopt.weight<64x32, mxfp4>
  // CHECK: qopt.linear
  // CHECK: qopt.weight {{.*}} encoding dequantize_linear : !qopt.weight<4x64, fp8_e4m3_g64_sf32>
  // CHECK: qopt.linear
  %none = onnx.None
  %w = onnx.Constant dense<1.0> : tensor<32x64xf4E2M1FN>
  %s = onnx.Constant dense<0.5> : tensor<1x64xf8E8M0FNU>
  %d = onnx.DequantizeLinear %w, %s, %none {axis = 0 : i64, block_size = 32 : i64} : (tensor<32x64xf4E2M1FN>, tensor<1x64xf8E8M0FNU>, none) -> tensor<32x64xf32>
  %h = onnx.MatMul %x, %d : (tensor<?x32xf32>, tensor<32x64xf32>) -> tensor<?x64xf32>
  %v = onnx.Constant dense<1.0> : tensor<4x64xf8E4M3FN>
  %t = onnx.Constant dense<0.5> : tensor<4x1xf32>
  %e = onnx.DequantizeLinear %v, %t, %none {axis = 1 : i64, block_size = 64 : i64} : (tensor<4x64xf8E4M3FN>, tensor<4x1xf32>, none) -> tensor<4x64xf32>
  %f = onnx.Transpose %e {perm = array<i64: 1, 0>} : (tensor<4x64xf32>) -> tensor<64x4xf32>
  %y = onnx.MatMul %h, %f : (tensor<?x64xf32>, tensor<64x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// Blocks along the rows are no groups, however many scales there are.
// CHECK-LABEL: @blocks_of_rows
func.func @blocks_of_rows(%x: tensor<?x32xf32>) -> tensor<?x32xf32> {
  // CHECK-NOT: qopt.weight
  // CHECK: onnx.MatMul
  %none = onnx.None
  %w = onnx.Constant dense<1> : tensor<32x32xi4>
  %s = onnx.Constant dense<0.5> : tensor<32x1xf32>
  %d = onnx.DequantizeLinear %w, %s, %none {axis = 1 : i64, block_size = 32 : i64} : (tensor<32x32xi4>, tensor<32x1xf32>, none) -> tensor<32x32xf32>
  %y = onnx.MatMul %x, %d : (tensor<?x32xf32>, tensor<32x32xf32>) -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// CHECK-LABEL: @activations
func.func @activations(%x: tensor<?x8xf32>, %w: tensor<8x4xf32>) -> tensor<?x4xf32> {
  // CHECK: onnx.MatMul
  %y = onnx.MatMul %x, %w : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
