// RUN: qopt-opt %s -pass-pipeline='builtin.module(qopt-quantize-stage{weights=int4_g32 lm-head=int8},qopt-fuse-stage)' | FileCheck %s
// RUN: qopt-opt %s -pass-pipeline='builtin.module(qopt-quantize-stage{weights=int4_g32 activations=f32},qopt-fuse-stage)' | FileCheck %s --check-prefix=F32
// One layer of a decoder after both stages: the fused operations, and codes between them wherever integers are multiplied.

!cache = !qopt.kv_cache<layers = 1, kv_heads = 2, head_size = 32, key = f32, value = f32, page = 16>

// F32-NOT: !qopt.quantized

// CHECK-LABEL: @step
func.func @step(%tokens: tensor<?xi32>, %batch: !qopt.batch, %cache: !cache) -> (tensor<?x128xf32>, !cache) {
  %scale = arith.constant dense<1.0> : tensor<64xf32>
  %freq = arith.constant dense<0.5> : tensor<16xf32>
  %we = qopt.weight "embed" codes(dense<0.1> : tensor<128x64xf32>) : !qopt.weight<128x64, f32>
  %wq = qopt.weight "q" codes(dense<0.1> : tensor<64x64xf32>) : !qopt.weight<64x64, f32>
  %wk = qopt.weight "k" codes(dense<0.1> : tensor<64x64xf32>) : !qopt.weight<64x64, f32>
  %wv = qopt.weight "v" codes(dense<0.1> : tensor<64x64xf32>) : !qopt.weight<64x64, f32>
  %wo = qopt.weight "o" codes(dense<0.2> : tensor<64x64xf32>) : !qopt.weight<64x64, f32>
  %wg = qopt.weight "gate" codes(dense<0.3> : tensor<96x64xf32>) : !qopt.weight<96x64, f32>
  %wu = qopt.weight "up" codes(dense<0.4> : tensor<96x64xf32>) : !qopt.weight<96x64, f32>
  %wd = qopt.weight "down" codes(dense<0.5> : tensor<64x96xf32>) : !qopt.weight<64x96, f32>
  %wl = qopt.weight "lm_head" codes(dense<0.6> : tensor<128x64xf32>) : !qopt.weight<128x64, f32>
  // CHECK: %[[H:.*]] = qopt.embedding
  %h = qopt.embedding %tokens, %we : tensor<?xi32>, !qopt.weight<128x64, f32> -> tensor<?x64xf32>
  // CHECK: %[[N:.*]] = qopt.rms_norm %[[H]], {{.*}} -> !qopt.quantized<?x64, int8_g32_sf32>
  %n = qopt.rms_norm %h, %scale epsilon 1.0e-05 : tensor<?x64xf32>, tensor<64xf32> -> tensor<?x64xf32>
  // CHECK: qopt.linear %[[N]], %{{.*}} !qopt.weight<192x64, int4_g32> -> tensor<?x192xf32>
  %q = qopt.linear %n, %wq : tensor<?x64xf32>, !qopt.weight<64x64, f32> -> tensor<?x64xf32>
  %k = qopt.linear %n, %wk : tensor<?x64xf32>, !qopt.weight<64x64, f32> -> tensor<?x64xf32>
  %v = qopt.linear %n, %wv : tensor<?x64xf32>, !qopt.weight<64x64, f32> -> tensor<?x64xf32>
  %c0 = arith.constant 0 : index
  %t = tensor.dim %tokens, %c0 : tensor<?xi32>
  %q3 = tensor.expand_shape %q [[0], [1, 2]] output_shape [%t, 2, 32] : tensor<?x64xf32> into tensor<?x2x32xf32>
  %k3 = tensor.expand_shape %k [[0], [1, 2]] output_shape [%t, 2, 32] : tensor<?x64xf32> into tensor<?x2x32xf32>
  %v3 = tensor.expand_shape %v [[0], [1, 2]] output_shape [%t, 2, 32] : tensor<?x64xf32> into tensor<?x2x32xf32>
  %p = qopt.positions %batch : tensor<?xi32>
  %cos, %sin = qopt.rotary_table %p, %freq scale 1.0 : tensor<?xi32>, tensor<16xf32> -> tensor<?x16xf32>
  // CHECK: %[[R:.*]]:2 = qopt.fused
  %qr = qopt.rotary %q3, %cos, %sin : tensor<?x2x32xf32>, tensor<?x16xf32>
  %kr = qopt.rotary %k3, %cos, %sin : tensor<?x2x32xf32>, tensor<?x16xf32>
  %next = qopt.kv_append %cache, %kr, %v3, %batch layer 0 : !cache, tensor<?x2x32xf32>
  // CHECK: qopt.cached_attention %[[R]]#0, %[[R]]#1
  %a = qopt.cached_attention %qr, %next, %batch layer 0 scale 0.125 : tensor<?x2x32xf32>, !cache
  %a2 = tensor.collapse_shape %a [[0], [1, 2]] : tensor<?x2x32xf32> into tensor<?x64xf32>
  // CHECK: qopt.quantize
  // CHECK: %[[S:.*]] = qopt.linear {{.*}} residual(%[[H]] : tensor<?x64xf32>)
  %o = qopt.linear %a2, %wo : tensor<?x64xf32>, !qopt.weight<64x64, f32> -> tensor<?x64xf32>
  %s = arith.addf %h, %o : tensor<?x64xf32>
  // CHECK: qopt.rms_norm %[[S]], {{.*}} -> !qopt.quantized
  %m = qopt.rms_norm %s, %scale epsilon 1.0e-05 : tensor<?x64xf32>, tensor<64xf32> -> tensor<?x64xf32>
  %g = qopt.linear %m, %wg : tensor<?x64xf32>, !qopt.weight<96x64, f32> -> tensor<?x96xf32>
  %u = qopt.linear %m, %wu : tensor<?x64xf32>, !qopt.weight<96x64, f32> -> tensor<?x96xf32>
  // CHECK: %[[F:.*]] = qopt.gated_activation silu %{{.*}} : tensor<?x192xf32> -> !qopt.quantized<?x96, int8_g32_sf32>
  %f = qopt.gated_activation silu %g, %u : tensor<?x96xf32> -> tensor<?x96xf32>
  // CHECK: %[[E:.*]] = qopt.linear %[[F]], {{.*}} residual(%[[S]] : tensor<?x64xf32>)
  %d = qopt.linear %f, %wd : tensor<?x96xf32>, !qopt.weight<64x96, f32> -> tensor<?x64xf32>
  %e = arith.addf %s, %d : tensor<?x64xf32>
  // CHECK: qopt.select_rows %[[E]]
  %x = qopt.select_rows %e, %batch : tensor<?x64xf32> -> tensor<?x64xf32>
  // CHECK: qopt.linear %{{.*}} !qopt.weight<128x64, int8> -> tensor<?x128xf32>
  %l = qopt.linear %x, %wl : tensor<?x64xf32>, !qopt.weight<128x64, f32> -> tensor<?x128xf32>
  return %l, %next : tensor<?x128xf32>, !cache
}
