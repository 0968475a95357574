// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// Round to nearest turns a floating point weight into codes.

// CHECK-LABEL: @quantize
func.func @quantize(%w: !qopt.weight<8x64, f16>) -> !qopt.weight<8x64, int4_g32> {
  // CHECK: qopt.quantize_weight %{{.*}} rtn : !qopt.weight<8x64, f16> -> !qopt.weight<8x64, int4_g32>
  %q = qopt.quantize_weight %w rtn : !qopt.weight<8x64, f16> -> !qopt.weight<8x64, int4_g32>
  return %q : !qopt.weight<8x64, int4_g32>
}
