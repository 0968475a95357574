// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// A packed weight is the same matrix in a layout of a kernel.

// CHECK-LABEL: @pack
func.func @pack(%w: !qopt.weight<8x64, int4_g32>) -> !qopt.weight<8x64, int4_g32, layout = host_tiled> {
  // CHECK: qopt.pack_weight {{.*}} -> !qopt.weight<8x64, int4_g32, layout = host_tiled>
  %p = qopt.pack_weight %w : !qopt.weight<8x64, int4_g32> -> !qopt.weight<8x64, int4_g32, layout = host_tiled>
  return %p : !qopt.weight<8x64, int4_g32, layout = host_tiled>
}
