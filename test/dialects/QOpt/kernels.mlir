// A schedule prints the numbers that it was given: integers, flags and lists.
// RUN: qopt-opt %s | FileCheck %s

// CHECK-LABEL: func @norm
// CHECK: qopt.rms_norm
// CHECK-SAME: qopt.kernels = [#qopt.kernel<norm, sm_90a, most = 8, {blocks = -1, lists = [8, 16], whole = true}>, #qopt.kernel<norm, sm_90a, {}>]
func.func @norm(%x: tensor<?x64xf16>, %s: tensor<64xf16>) -> tensor<?x64xf16> {
  %y = qopt.rms_norm %x, %s epsilon 1.0e-05 {qopt.kernels = [#qopt.kernel<norm, sm_90a, most = 8, {whole = true, lists = [8, 16], blocks = -1}>, #qopt.kernel<norm, sm_90a, {}>]} : tensor<?x64xf16>, tensor<64xf16> -> tensor<?x64xf16>
  return %y : tensor<?x64xf16>
}
