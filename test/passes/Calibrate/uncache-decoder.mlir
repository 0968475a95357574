// RUN: qopt-opt %s -qopt-uncache-decoder | FileCheck %s
// A step becomes a graph whose attention reads the sequence's own keys and values.

!cache = !qopt.kv_cache<layers = 2, kv_heads = 2, head_size = 8, key = f16, value = f16, page = 16>

// CHECK-LABEL: @step
// CHECK-SAME: (%[[TOKENS:.*]]: tensor<?xi32> {onnx.dims = ["tokens"], qopt.name = "tokens"}, %[[POSITIONS:.*]]: tensor<?xi32> {onnx.dims = ["tokens"], qopt.name = "positions"}) -> (tensor<?x16xf32> {qopt.name = "logits"})
// CHECK-NOT: qopt.decoder
func.func @step(%tokens: tensor<?xi32>, %batch: !qopt.batch, %cache: !cache) -> (tensor<?x16xf32>, !cache) attributes {qopt.decoder} {
  %table = qopt.weight "table" codes(dense<0.5> : tensor<16x16xf32>) : !qopt.weight<16x16, f32>
  %x = qopt.embedding %tokens, %table : tensor<?xi32>, !qopt.weight<16x16, f32> -> tensor<?x16xf32>
  %n = qopt.batch_dim %batch tokens
  %heads = tensor.expand_shape %x [[0], [1, 2]] output_shape [%n, 2, 8] : tensor<?x16xf32> into tensor<?x2x8xf32>
  // CHECK: qopt.embedding %[[POSITIONS]]
  %p = qopt.positions %batch : tensor<?xi32>
  %shift = qopt.embedding %p, %table : tensor<?xi32>, !qopt.weight<16x16, f32> -> tensor<?x16xf32>
  %keys = tensor.expand_shape %shift [[0], [1, 2]] output_shape [%n, 2, 8] : tensor<?x16xf32> into tensor<?x2x8xf32>
  %first = qopt.kv_append %cache, %keys, %heads, %batch layer 0 : !cache, tensor<?x2x8xf32>
  %second = qopt.kv_append %first, %heads, %keys, %batch layer 1 : !cache, tensor<?x2x8xf32>
  // Each layer reads what it appended itself.
  // CHECK: %[[Q:.*]] = tensor.expand_shape %[[HEADS:.*]] {{\[}}[0, 1], [2], [3]] {{.*}} into tensor<1x?x2x8xf32>
  // CHECK: %[[KEYS:.*]] = tensor.expand_shape %[[SHIFT:.*]] {{\[}}[0, 1], [2], [3]]
  // CHECK: %[[K:.*]] = onnx.Transpose %[[KEYS]] {perm = array<i64: 0, 2, 1, 3>} {{.*}} -> tensor<1x2x?x8xf32>
  // CHECK: %[[V:.*]] = onnx.Transpose
  // CHECK: qopt.attention %[[Q]], %[[K]], %[[V]] scale 5.000000e-01 causal window 4 softcap 3.000000e+01 :
  %a = qopt.cached_attention %heads, %second, %batch layer 0 scale 0.5 window 4 softcap 30.0 : tensor<?x2x8xf32>, !cache
  // Biases are slopes times positions of keys.
  // CHECK: %[[SLOPES:.*]] = arith.constant dense<{{.*}}> : tensor<1x2x1x1xf32>
  // CHECK: %[[BIASES:.*]] = onnx.Mul %[[SLOPES]]
  // CHECK: qopt.attention {{.*}} mask(%[[BIASES]] : tensor<1x2x1x?xf32>) scale 1.000000e+00 causal :
  %b = qopt.cached_attention %a, %second, %batch layer 1 scale 1.0 alibi [0.5, 0.25] : tensor<?x2x8xf32>, !cache
  %y = tensor.collapse_shape %b [[0], [1, 2]] : tensor<?x2x8xf32> into tensor<?x16xf32>
  // Every row gives logits.
  // CHECK-NOT: qopt.select_rows
  %rows = qopt.select_rows %y, %batch : tensor<?x16xf32> -> tensor<?x16xf32>
  // CHECK: return %{{.*}} : tensor<?x16xf32>
  return %rows, %second : tensor<?x16xf32>, !cache
}
