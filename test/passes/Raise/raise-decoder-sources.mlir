// RUN: qopt-opt %s -qopt-raise-decoder='sources' | FileCheck %s
// RUN: not qopt-opt %s -qopt-raise-decoder='required' 2>&1 | FileCheck %s --check-prefix=ALONE
// Attention across sequences reads layers of the cache behind the decoder's own, in the order of the inputs' names.

// CHECK: func.func @step(%[[TOKENS:.*]]: tensor<?xi32>, %[[BATCH:.*]]: !qopt.batch, %[[CACHE:.*]]: !qopt.kv_cache<layers = 2, kv_heads = 2, head_size = 4, key = f32, value = f32, page = 16>)
// CHECK: %[[NEXT:.*]] = qopt.kv_append %[[CACHE]], %{{.*}}, %{{.*}}, %[[BATCH]] layer 0
// CHECK: qopt.cached_attention %{{.*}}, %[[NEXT]], %[[BATCH]] layer 0 scale
// CHECK-NOT: qopt.kv_append
// CHECK: qopt.cached_attention %{{.*}}, %[[NEXT]], %[[BATCH]] layer 1 source scale 5.000000e-01
// CHECK: return %{{.*}}, %[[NEXT]]

// ALONE: not a decoder: an attention reads what an encoder makes; compile the folder that has the encoder, too
func.func @main(
    %ids: tensor<?x?xi64> {onnx.dims = ["batch", "sequence"], qopt.name = "input_ids"},
    %mask: tensor<?x?xi64> {onnx.dims = ["batch", "source"], qopt.name = "encoder_attention_mask"},
    %pastKeys: tensor<?x2x?x4xf32> {onnx.dims = ["batch", 2, "past", 4], qopt.name = "past_key_values.0.decoder.key"},
    %pastValues: tensor<?x2x?x4xf32> {onnx.dims = ["batch", 2, "past", 4], qopt.name = "past_key_values.0.decoder.value"},
    %keys: tensor<?x2x?x4xf32> {onnx.dims = ["batch", 2, "source", 4], qopt.name = "past_key_values.0.encoder.key"},
    %values: tensor<?x2x?x4xf32> {onnx.dims = ["batch", 2, "source", 4], qopt.name = "past_key_values.0.encoder.value"})
    -> (tensor<?x?x16xf32> {qopt.name = "logits"}, tensor<?x2x?x4xf32>, tensor<?x2x?x4xf32>) {
  %table = qopt.weight "table" codes(dense<0.5> : tensor<16x8xf32>) : !qopt.weight<16x8, f32>
  %square = qopt.weight "square" codes(dense<0.25> : tensor<8x8xf32>) : !qopt.weight<8x8, f32>
  %heads = onnx.Constant dense<[0, 0, 2, 4]> : tensor<4xi64>
  %flat = onnx.Constant dense<[0, 0, 8]> : tensor<3xi64>
  %x = qopt.embedding %ids, %table : tensor<?x?xi64>, !qopt.weight<16x8, f32> -> tensor<?x?x8xf32>
  %q = onnx.Reshape %x, %heads : (tensor<?x?x8xf32>, tensor<4xi64>) -> tensor<?x?x2x4xf32>
  %new = onnx.Transpose %q {perm = array<i64: 0, 2, 1, 3>} : (tensor<?x?x2x4xf32>) -> tensor<?x2x?x4xf32>
  %k = onnx.Concat %pastKeys, %new {axis = 2 : i64} : (tensor<?x2x?x4xf32>, tensor<?x2x?x4xf32>) -> tensor<?x2x?x4xf32>
  %v = onnx.Concat %pastValues, %new {axis = 2 : i64} : (tensor<?x2x?x4xf32>, tensor<?x2x?x4xf32>) -> tensor<?x2x?x4xf32>
  %own = qopt.attention %q, %k, %v scale 0.5 causal : tensor<?x?x2x4xf32>, tensor<?x2x?x4xf32>, tensor<?x2x?x4xf32> -> tensor<?x?x2x4xf32>
  %rows = onnx.Reshape %own, %flat : (tensor<?x?x2x4xf32>, tensor<3xi64>) -> tensor<?x?x8xf32>
  %y = qopt.linear %rows, %square : tensor<?x?x8xf32>, !qopt.weight<8x8, f32> -> tensor<?x?x8xf32>
  %asks = onnx.Reshape %y, %heads : (tensor<?x?x8xf32>, tensor<4xi64>) -> tensor<?x?x2x4xf32>
  // Paddings of a source are hidden; here there are none.
  %axes = onnx.Constant dense<[1, 2]> : tensor<2xi64>
  %one = onnx.Constant dense<1.0> : tensor<f32>
  %least = onnx.Constant dense<-3.0e38> : tensor<f32>
  %wide = onnx.Unsqueeze %mask, %axes : (tensor<?x?xi64>, tensor<2xi64>) -> tensor<?x1x1x?xi64>
  %real = onnx.Cast %wide : (tensor<?x1x1x?xi64>) -> tensor<?x1x1x?xf32>
  %padding = onnx.Sub %one, %real : (tensor<f32>, tensor<?x1x1x?xf32>) -> tensor<?x1x1x?xf32>
  %hidden = onnx.Mul %padding, %least : (tensor<?x1x1x?xf32>, tensor<f32>) -> tensor<?x1x1x?xf32>
  %across = qopt.attention %asks, %keys, %values mask(%hidden : tensor<?x1x1x?xf32>) scale 0.5 : tensor<?x?x2x4xf32>, tensor<?x2x?x4xf32>, tensor<?x2x?x4xf32> -> tensor<?x?x2x4xf32>
  %last = onnx.Reshape %across, %flat : (tensor<?x?x2x4xf32>, tensor<3xi64>) -> tensor<?x?x8xf32>
  %logits = qopt.linear %last, %table : tensor<?x?x8xf32>, !qopt.weight<16x8, f32> -> tensor<?x?x16xf32>
  return %logits, %k, %v : tensor<?x?x16xf32>, tensor<?x2x?x4xf32>, tensor<?x2x?x4xf32>
}
