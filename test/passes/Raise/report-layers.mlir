// Each layer's attention, norm and activation are named, and what is left over is counted.
// RUN: qopt-opt %s -pass-pipeline='builtin.module(func.func(qopt-report-layers))' -verify-diagnostics

// expected-remark @+1 {{left to generated kernels in "graph": 2 onnx.Add, 1 onnx.Sqrt}}
func.func @graph(%q: tensor<?x?x4x16xf32>, %k: tensor<?x2x?x16xf32>, %mask: tensor<?x1x1x?xi1>, %x: tensor<?x8xf32>,
                 %scale: tensor<8xf32>, %cos: tensor<?x?x4xf32>) -> (tensor<?x?x4x16xf32>, tensor<?x8xf32>) {
  %n = qopt.rms_norm %x, %scale epsilon 1.0e-5 : tensor<?x8xf32>, tensor<8xf32> -> tensor<?x8xf32>
  %r = qopt.rotary %q, %cos, %cos : tensor<?x?x4x16xf32>, tensor<?x?x4xf32>
  // expected-remark @+1 {{layer 0: attention of 4 heads on 2 of size 16, mask; rotary embedding of 8 of 16 channels, halves; rms_norm; activation silu}}
  %a = qopt.attention %r, %k, %k mask(%mask : tensor<?x1x1x?xi1>) scale 0.25 : tensor<?x?x4x16xf32>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32> -> tensor<?x?x4x16xf32>
  %s = qopt.activation silu %n : tensor<?x8xf32> -> tensor<?x8xf32>
  // expected-remark @+1 {{layer 1: attention of 4 heads on 2 of size 16, causal, window 5; no rotary embedding; rms_norm}}
  %b = qopt.attention %q, %k, %k scale 0.25 causal window 5 : tensor<?x?x4x16xf32>, tensor<?x2x?x16xf32>, tensor<?x2x?x16xf32> -> tensor<?x?x4x16xf32>
  %y = onnx.Add %a, %b : (tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>) -> tensor<?x?x4x16xf32>
  %t = onnx.Sqrt %s : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %u = onnx.Add %t, %s : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y, %u : tensor<?x?x4x16xf32>, tensor<?x8xf32>
}
