// RUN: qopt-opt %s -qopt-observe-linears | FileCheck %s
// What linears of weights that are to be quantized read becomes a result, once.

// CHECK-LABEL: @layer
// CHECK-SAME: (%[[X:.*]]: tensor<?x32xf32>)
// CHECK-SAME: -> (tensor<?x32xf32> {qopt.name = "hidden"}, tensor<?x32xf32> {qopt.name = "input 0", qopt.observation = #qopt.observation<input of ["gate", "up"]>}, tensor<?x32xf32> {qopt.name = "input 1", qopt.observation = #qopt.observation<input of ["down"]>})
func.func @layer(%x: tensor<?x32xf32>) -> (tensor<?x32xf32> {qopt.name = "hidden"}) {
  %gate = qopt.weight "gate" codes(dense<0.5> : tensor<32x32xf32>) : !qopt.weight<32x32, f32>
  %up = qopt.weight "up" codes(dense<0.25> : tensor<32x32xf32>) : !qopt.weight<32x32, f32>
  %down = qopt.weight "down" codes(dense<0.75> : tensor<32x32xf32>) : !qopt.weight<32x32, f32>
  %g = qopt.quantize_weight %gate rtn : !qopt.weight<32x32, f32> -> !qopt.weight<32x32, int4_g32>
  %u = qopt.quantize_weight %up rtn : !qopt.weight<32x32, f32> -> !qopt.weight<32x32, int8>
  %d = qopt.quantize_weight %down rtn : !qopt.weight<32x32, f32> -> !qopt.weight<32x32, int8>
  // Quantized activations are observed as they were before.
  %q = qopt.quantize %x : tensor<?x32xf32> -> !qopt.quantized<?x32, int8_g32_sf32>
  %a = qopt.linear %q, %g : !qopt.quantized<?x32, int8_g32_sf32>, !qopt.weight<32x32, int4_g32> -> tensor<?x32xf32>
  %b = qopt.linear %x, %u : tensor<?x32xf32>, !qopt.weight<32x32, int8> -> tensor<?x32xf32>
  // CHECK: %[[H:.*]] = qopt.gated_activation
  %h = qopt.gated_activation silu %a, %b : tensor<?x32xf32> -> tensor<?x32xf32>
  %y = qopt.linear %h, %d : tensor<?x32xf32>, !qopt.weight<32x32, int8> -> tensor<?x32xf32>
  // A weight that stays as it is has nothing to learn.
  %z = qopt.linear %y, %down : tensor<?x32xf32>, !qopt.weight<32x32, f32> -> tensor<?x32xf32>
  // CHECK: return %{{.*}}, %[[X]], %[[H]]
  return %z : tensor<?x32xf32>
}
