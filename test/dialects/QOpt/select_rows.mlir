// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// Only rows whose logits were asked for go on.

// CHECK-LABEL: @select
func.func @select(%x: tensor<?x64xf32>, %batch: !qopt.batch) -> tensor<?x64xf32> {
  // CHECK: qopt.select_rows %{{.*}}, %{{.*}} : tensor<?x64xf32> -> tensor<?x64xf32>
  %y = qopt.select_rows %x, %batch : tensor<?x64xf32> -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
