// RUN: qopt-opt %s -qopt-quantize-activations | FileCheck %s
// RUN: qopt-opt %s -qopt-quantize-activations='format=f32' | FileCheck %s --check-prefix=OFF
// RUN: qopt-opt %s -qopt-quantize-activations='format=int8' | FileCheck %s --check-prefix=TOKEN
// RUN: not qopt-opt %s -qopt-quantize-activations='format=int8_g32' 2>&1 | FileCheck %s --check-prefix=SCALE
// RUN: qopt-opt %s -qopt-quantize-activations='format=fp8_e4m3' | FileCheck %s --check-prefix=FP8
// RUN: qopt-opt %s -qopt-quantize-activations='format=int8_tensor' | FileCheck %s --check-prefix=STATIC
// Linears with integer weights read quantized activations, made once for each tensor.

// OFF-NOT: qopt.quantize
// SCALE: error: quantized activations have a symmetric format of integers or fp8 with f32 scales

// CHECK-LABEL: @linears
func.func @linears(%x: tensor<?x64xf32>, %a: !qopt.weight<64x64, int4_g32>, %b: !qopt.weight<128x64, int8>, %f: !qopt.weight<64x64, f16>) -> (tensor<?x64xf32>, tensor<?x128xf32>, tensor<?x64xf32>) {
  // CHECK: %[[Q:.*]] = qopt.quantize %arg0 : tensor<?x64xf32> -> !qopt.quantized<?x64, int8_g32_sf32>
  // CHECK-NOT: qopt.quantize
  // CHECK: qopt.linear %[[Q]], %arg1
  %y = qopt.linear %x, %a : tensor<?x64xf32>, !qopt.weight<64x64, int4_g32> -> tensor<?x64xf32>
  // CHECK: qopt.linear %[[Q]], %arg2
  %z = qopt.linear %x, %b : tensor<?x64xf32>, !qopt.weight<128x64, int8> -> tensor<?x128xf32>
  // CHECK: qopt.linear %arg0, %arg3
  %t = qopt.linear %x, %f : tensor<?x64xf32>, !qopt.weight<64x64, f16> -> tensor<?x64xf32>
  return %y, %z, %t : tensor<?x64xf32>, tensor<?x128xf32>, tensor<?x64xf32>
}

// With one scale a row, weights are multiplied that are the same.
// TOKEN-LABEL: @rows
// FP8-LABEL: @rows
func.func @rows(%x: tensor<?x64xf32>, %a: !qopt.weight<64x64, int4>, %b: !qopt.weight<64x64, int8>, %c: !qopt.weight<64x64, fp8_e4m3>, %d: !qopt.weight<64x64, int8_g32>) -> (tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>) {
  // TOKEN: %[[Q:.*]] = qopt.quantize %arg0 : tensor<?x64xf32> -> !qopt.quantized<?x64, int8>
  // FP8: %[[Q:.*]] = qopt.quantize %arg0 : tensor<?x64xf32> -> !qopt.quantized<?x64, fp8_e4m3>
  // TOKEN: qopt.linear %arg0, %arg1
  // TOKEN: qopt.linear %[[Q]], %arg2
  // TOKEN: qopt.linear %arg0, %arg3
  // TOKEN: qopt.linear %arg0, %arg4
  // FP8: qopt.linear %arg0, %arg2
  // FP8: qopt.linear %[[Q]], %arg3
  %p = qopt.linear %x, %a : tensor<?x64xf32>, !qopt.weight<64x64, int4> -> tensor<?x64xf32>
  %q = qopt.linear %x, %b : tensor<?x64xf32>, !qopt.weight<64x64, int8> -> tensor<?x64xf32>
  %r = qopt.linear %x, %c : tensor<?x64xf32>, !qopt.weight<64x64, fp8_e4m3> -> tensor<?x64xf32>
  %s = qopt.linear %x, %d : tensor<?x64xf32>, !qopt.weight<64x64, int8_g32> -> tensor<?x64xf32>
  return %p, %q, %r, %s : tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>
}

// A sum of more columns would need more than 32 bits.
// TOKEN-LABEL: @long_rows
func.func @long_rows(%x: tensor<?x132105xf32>, %w: !qopt.weight<4x132105, int8>) -> tensor<?x4xf32> {
  // TOKEN: qopt.linear %arg0, %arg1
  %y = qopt.linear %x, %w : tensor<?x132105xf32>, !qopt.weight<4x132105, int8> -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// The file's own codes of activations get no others.
// CHECK-LABEL: @rounded_by_the_file
func.func @rounded_by_the_file(%q: tensor<?x64xi8>, %s: tensor<f32>, %z: tensor<i8>, %w: !qopt.weight<64x64, int8>) -> tensor<?x64xf32> {
  // CHECK: %[[X:.*]] = onnx.DequantizeLinear
  // CHECK: qopt.linear %[[X]], %arg3
  %x = onnx.DequantizeLinear %q, %s, %z : (tensor<?x64xi8>, tensor<f32>, tensor<i8>) -> tensor<?x64xf32>
  %y = qopt.linear %x, %w : tensor<?x64xf32>, !qopt.weight<64x64, int8> -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// The scale of all tokens is the linear's attribute until it is the type's.
// STATIC-LABEL: @one_scale
func.func @one_scale(%x: tensor<?x64xf32>, %a: !qopt.weight<64x64, int8>, %b: !qopt.weight<64x64, int8>) -> (tensor<?x64xf32>, tensor<?x64xf32>) {
  // STATIC: %[[Q:.*]] = qopt.quantize %arg0 : tensor<?x64xf32> -> !qopt.quantized<?x64, int8_tensor, scale = 1.250000e-01>
  // STATIC: qopt.linear %[[Q]], %arg1 :
  // STATIC: qopt.linear %arg0, %arg2 :
  %y = qopt.linear %x, %a {qopt.activation_scale = 0.125 : f32} : tensor<?x64xf32>, !qopt.weight<64x64, int8> -> tensor<?x64xf32>
  %z = qopt.linear %x, %b : tensor<?x64xf32>, !qopt.weight<64x64, int8> -> tensor<?x64xf32>
  return %y, %z : tensor<?x64xf32>, tensor<?x64xf32>
}

// CHECK-LABEL: @group_does_not_divide
func.func @group_does_not_divide(%x: tensor<?x48xf32>, %w: !qopt.weight<64x48, int8>) -> tensor<?x64xf32> {
  // CHECK: qopt.linear %arg0, %arg1
  %y = qopt.linear %x, %w : tensor<?x48xf32>, !qopt.weight<64x48, int8> -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
