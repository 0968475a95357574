// RUN: qopt-opt %s -qopt-uncache-decoder | FileCheck %s
// Biases by distance become a mask: the numbers of each head at the distance of query and key.

!cache = !qopt.kv_cache<layers = 1, kv_heads = 2, head_size = 8, key = f16, value = f16, page = 16>

// CHECK-LABEL: @step
// CHECK-SAME: %[[POSITIONS:[a-z0-9]+]]: tensor<?xi32> {onnx.dims = ["tokens"], qopt.name = "positions"}
func.func @step(%tokens: tensor<?xi32>, %batch: !qopt.batch, %cache: !cache) -> (tensor<?x16xf32>, !cache) attributes {qopt.decoder} {
  %table = qopt.weight "table" codes(dense<0.5> : tensor<16x16xf32>) : !qopt.weight<16x16, f32>
  %x = qopt.embedding %tokens, %table : tensor<?xi32>, !qopt.weight<16x16, f32> -> tensor<?x16xf32>
  %n = qopt.batch_dim %batch tokens
  %heads = tensor.expand_shape %x [[0], [1, 2]] output_shape [%n, 2, 8] : tensor<?x16xf32> into tensor<?x2x8xf32>
  %next = qopt.kv_append %cache, %heads, %heads, %batch layer 0 : !cache, tensor<?x2x8xf32>
  // CHECK: %[[TABLE:.*]] = arith.constant dense<{{.*}}> : tensor<2x3xf32>
  // CHECK: %[[DISTANCE:.*]] = onnx.Sub
  // CHECK: %[[OLDER:.*]] = onnx.Max %[[DISTANCE]]
  // CHECK: %[[NEAR:.*]] = onnx.Min %[[OLDER]]
  // CHECK: %[[BIASES:.*]] = onnx.Gather %[[TABLE]], %[[NEAR]] {axis = 1 : i64}
  // CHECK: %[[MASK:.*]] = onnx.Unsqueeze %[[BIASES]]
  // CHECK: qopt.attention {{.*}} mask(%[[MASK]] : tensor<1x2x?x?xf32>) scale 1.000000e+00 causal :
  %a = qopt.cached_attention %heads, %next, %batch layer 0 scale 1.0 biases [0.5, 0.25, 0.0, 1.0, 2.0, 3.0] : tensor<?x2x8xf32>, !cache
  %y = tensor.collapse_shape %a [[0], [1, 2]] : tensor<?x2x8xf32> into tensor<?x16xf32>
  return %y, %next : tensor<?x16xf32>, !cache
}
