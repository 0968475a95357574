// RUN: qopt-opt %s -qopt-quantize-activations | FileCheck %s
// RUN: qopt-opt %s -qopt-quantize-activations='format=f32' | FileCheck %s --check-prefix=OFF
// RUN: qopt-opt %s -qopt-quantize-activations='format=int8' | FileCheck %s --check-prefix=TOKEN
// RUN: not qopt-opt %s -qopt-quantize-activations='format=int8_g32' 2>&1 | FileCheck %s --check-prefix=SCALE
// Linears with integer weights read quantized activations, made once for each tensor.

// OFF-NOT: qopt.quantize
// TOKEN-LABEL: @linears
// TOKEN: qopt.quantize %arg0 : tensor<?x64xf32> -> !qopt.quantized<?x64, int8>
// SCALE: error: quantized activations have a symmetric integer format with one f32 scale per row or group

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

// CHECK-LABEL: @group_does_not_divide
func.func @group_does_not_divide(%x: tensor<?x48xf32>, %w: !qopt.weight<64x48, int8>) -> tensor<?x64xf32> {
  // CHECK: qopt.linear %arg0, %arg1
  %y = qopt.linear %x, %w : tensor<?x48xf32>, !qopt.weight<64x48, int8> -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
