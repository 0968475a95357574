// RUN: not qopt-opt %s -qopt-select-cuda-kernels 2>&1 | FileCheck %s
// Which rows are wanted is known as a step runs, and a launch has the rows that were planned.

// CHECK: error: no kernel of a GPU leaves out the rows whose share is 0
func.func @routed(%x: tensor<?x64xf16>, %w: !qopt.weight<128x64, int8>, %s: tensor<?x1xf32>) -> tensor<?x128xf16> {
  %y = qopt.linear %x, %w share(%s : tensor<?x1xf32>) : tensor<?x64xf16>, !qopt.weight<128x64, int8> -> tensor<?x128xf16>
  return %y : tensor<?x128xf16>
}
