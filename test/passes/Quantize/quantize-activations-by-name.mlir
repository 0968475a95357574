// RUN: qopt-opt %s -qopt-quantize-activations='overrides=re:^a$=int8,re:gate=f32' | FileCheck %s
// RUN: not qopt-opt %s -qopt-quantize-activations='overrides=nobody=int8' 2>&1 | FileCheck %s --check-prefix=UNMATCHED
// RUN: not qopt-opt %s -qopt-quantize-activations='overrides=re:.=int8,gate=f32' 2>&1 | FileCheck %s --check-prefix=HIDDEN
// RUN: not qopt-opt %s -qopt-quantize-activations='overrides=a=int8_tensor' 2>&1 | FileCheck %s --check-prefix=STATIC
// RUN: not qopt-opt %s -qopt-quantize-activations='overrides=a=int8_asym' 2>&1 | FileCheck %s --check-prefix=CODES
// RUN: not qopt-opt %s -qopt-quantize-activations='overrides=a=int9' 2>&1 | FileCheck %s --check-prefix=FORMAT
// What single linears read, by the names of their weights; others read what `format` says.

// UNMATCHED: error: --activation-format "nobody=int8" matches no linear of the model
// HIDDEN: error: --activation-format "gate=f32" has no effect
// STATIC: error: --activation-format: "int8_tensor" has one scale for all tokens
// CODES: error: activations in "int8_asym" are codes of the model itself
// FORMAT: error: --activation-format

// CHECK-LABEL: @linears
func.func @linears(%x: tensor<?x32xf32>) -> (tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>) {
  // CHECK-DAG: %[[ROWS:.*]] = qopt.quantize %arg0 : tensor<?x32xf32> -> !qopt.quantized<?x32, int8>
  // CHECK-DAG: %[[BLOCKS:.*]] = qopt.quantize %arg0 : tensor<?x32xf32> -> !qopt.quantized<?x32, int8_g32_sf32>
  %a = qopt.weight "a" codes(dense<0.5> : tensor<32x32xf16>) : !qopt.weight<32x32, f16>
  %b = qopt.weight "gate" codes(dense<0.5> : tensor<32x32xf16>) : !qopt.weight<32x32, f16>
  %c = qopt.weight "c" codes(dense<0.5> : tensor<32x32xf16>) : !qopt.weight<32x32, f16>
  %p = qopt.quantize_weight %a rtn : !qopt.weight<32x32, f16> -> !qopt.weight<32x32, int8>
  %q = qopt.quantize_weight %b rtn : !qopt.weight<32x32, f16> -> !qopt.weight<32x32, int8>
  %r = qopt.quantize_weight %c rtn : !qopt.weight<32x32, f16> -> !qopt.weight<32x32, int8>
  // CHECK: qopt.linear %[[ROWS]],
  %u = qopt.linear %x, %p : tensor<?x32xf32>, !qopt.weight<32x32, int8> -> tensor<?x32xf32>
  // CHECK: qopt.linear %arg0,
  %v = qopt.linear %x, %q : tensor<?x32xf32>, !qopt.weight<32x32, int8> -> tensor<?x32xf32>
  // CHECK: qopt.linear %[[BLOCKS]],
  %w = qopt.linear %x, %r : tensor<?x32xf32>, !qopt.weight<32x32, int8> -> tensor<?x32xf32>
  return %u, %v, %w : tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>
}
