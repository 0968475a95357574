// RUN: qopt-opt %s -canonicalize | FileCheck %s
// Operations that change nothing go away; nested concatenations become one.

// CHECK-LABEL: @same_format
func.func @same_format(%w: !qopt.weight<8x64, f16>) -> !qopt.weight<8x64, f16> {
  %q = qopt.quantize_weight %w rtn : !qopt.weight<8x64, f16> -> !qopt.weight<8x64, f16>
  %p = qopt.pack_weight %q : !qopt.weight<8x64, f16> -> !qopt.weight<8x64, f16>
  %c = qopt.concat_weights %p : !qopt.weight<8x64, f16> -> !qopt.weight<8x64, f16>
  // CHECK-NEXT: return %arg0
  return %c : !qopt.weight<8x64, f16>
}

// CHECK-LABEL: @nested_concat
func.func @nested_concat(%a: !qopt.weight<8x64, f16>, %b: !qopt.weight<4x64, f16>) -> !qopt.weight<20x64, f16> {
  // CHECK-NEXT: %[[C:.*]] = qopt.concat_weights %arg0, %arg1, %arg0 :
  // CHECK-NEXT: return %[[C]]
  %ab = qopt.concat_weights %a, %b : !qopt.weight<8x64, f16>, !qopt.weight<4x64, f16> -> !qopt.weight<12x64, f16>
  %c = qopt.concat_weights %ab, %a : !qopt.weight<12x64, f16>, !qopt.weight<8x64, f16> -> !qopt.weight<20x64, f16>
  return %c : !qopt.weight<20x64, f16>
}

// CHECK-LABEL: @relu_twice
func.func @relu_twice(%x: tensor<4xf32>) -> tensor<4xf32> {
  // CHECK-NEXT: %[[Y:.*]] = qopt.activation relu %arg0
  // CHECK-NEXT: return %[[Y]]
  %y = qopt.activation relu %x : tensor<4xf32> -> tensor<4xf32>
  %z = qopt.activation relu %y : tensor<4xf32> -> tensor<4xf32>
  return %z : tensor<4xf32>
}
