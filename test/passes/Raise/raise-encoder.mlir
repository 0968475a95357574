// RUN: qopt-opt %s -qopt-raise-encoder -split-input-file -verify-diagnostics | FileCheck %s
// An encoder, and the projections of its result that a decoder attends to, fill layers of a cache.

// CHECK-LABEL: func.func @encode(
// CHECK-SAME: %[[IDS:.*]]: tensor<?x?xi64>
// CHECK-SAME: %[[BATCH:.*]]: !qopt.batch, %[[CACHE:.*]]: !qopt.kv_cache<layers = 2, kv_heads = 2, head_size = 4, key = f32, value = f32, page = 16>) -> !qopt.kv_cache
// CHECK: %[[HIDDEN:.*]] = qopt.embedding %[[IDS]]
// CHECK: qopt.require equal
// CHECK: %[[ROWS:.*]] = tensor.collapse_shape %[[HIDDEN]]
// CHECK: %[[PROJECTED:.*]] = qopt.linear %[[ROWS]]
// CHECK: %[[KEYS:.*]] = tensor.expand_shape %[[PROJECTED]]
// CHECK: %[[FILLED:.*]] = qopt.kv_append %[[CACHE]], %[[KEYS]], %{{.*}}, %[[BATCH]] layer 1
// CHECK: return %[[FILLED]]
// CHECK-NOT: func.func @decoder
func.func @encoder(%ids: tensor<?x?xi64> {onnx.dims = ["batch", "source"], qopt.name = "input_ids"}) -> (tensor<?x?x8xf32> {qopt.name = "last_hidden_state"}) {
  %table = qopt.weight "table" codes(dense<0.5> : tensor<16x8xf32>) : !qopt.weight<16x8, f32>
  %x = qopt.embedding %ids, %table : tensor<?x?xi64>, !qopt.weight<16x8, f32> -> tensor<?x?x8xf32>
  return %x : tensor<?x?x8xf32>
}
func.func @decoder(%ids: tensor<?x?xi64> {qopt.name = "input_ids"}, %x: tensor<?x?x8xf32> {qopt.name = "encoder_hidden_states"})
    -> (tensor<?x2x?x4xf32> {qopt.name = "present.0.decoder.key"}, tensor<?x2x?x4xf32> {qopt.name = "present.0.encoder.key"}, tensor<?x2x?x4xf32> {qopt.name = "present.0.encoder.value"}) {
  %square = qopt.weight "square" codes(dense<0.25> : tensor<8x8xf32>) : !qopt.weight<8x8, f32>
  // The batch is the decoder's, which is not taken over.
  %batch = onnx.Shape %ids {end = 1 : i64} : (tensor<?x?xi64>) -> tensor<1xi64>
  %rest = onnx.Constant dense<[-1, 2, 4]> : tensor<3xi64>
  %sizes = onnx.Concat %batch, %rest {axis = 0 : i64} : (tensor<1xi64>, tensor<3xi64>) -> tensor<4xi64>
  %p = qopt.linear %x, %square : tensor<?x?x8xf32>, !qopt.weight<8x8, f32> -> tensor<?x?x8xf32>
  %heads = onnx.Reshape %p, %sizes : (tensor<?x?x8xf32>, tensor<4xi64>) -> tensor<?x?x2x4xf32>
  %k = onnx.Transpose %heads {perm = array<i64: 0, 2, 1, 3>} : (tensor<?x?x2x4xf32>) -> tensor<?x2x?x4xf32>
  return %k, %k, %k : tensor<?x2x?x4xf32>, tensor<?x2x?x4xf32>, tensor<?x2x?x4xf32>
}

// -----

func.func @encoder(%ids: tensor<?x?xi64>) -> tensor<?x?x8xf32> {
  %table = qopt.weight "table" codes(dense<0.5> : tensor<16x8xf32>) : !qopt.weight<16x8, f32>
  %x = qopt.embedding %ids, %table : tensor<?x?xi64>, !qopt.weight<16x8, f32> -> tensor<?x?x8xf32>
  return %x : tensor<?x?x8xf32>
}
// expected-error @+1 {{no encoder of a decoder: it has no results present.0.encoder.key, …}}
func.func @decoder(%x: tensor<?x?x8xf32> {qopt.name = "encoder_hidden_states"}) -> (tensor<?x?x8xf32> {qopt.name = "logits"}) {
  return %x : tensor<?x?x8xf32>
}

// -----

func.func @encoder(%ids: tensor<?x?xi64>) -> tensor<?x?x8xf32> {
  %table = qopt.weight "table" codes(dense<0.5> : tensor<16x8xf32>) : !qopt.weight<16x8, f32>
  %x = qopt.embedding %ids, %table : tensor<?x?xi64>, !qopt.weight<16x8, f32> -> tensor<?x?x8xf32>
  return %x : tensor<?x?x8xf32>
}
func.func @decoder(%ids: tensor<?x?xi64>, %x: tensor<?x?x8xf32> {qopt.name = "encoder_hidden_states"})
    -> (tensor<?x2x?x4xf32> {qopt.name = "present.0.encoder.key"}, tensor<?x2x?x4xf32> {qopt.name = "present.0.encoder.value"}) {
  %sizes = onnx.Constant dense<[0, 0, 2, 4]> : tensor<4xi64>
  %table = qopt.weight "table" codes(dense<0.5> : tensor<16x8xf32>) : !qopt.weight<16x8, f32>
  // expected-error @+1 {{no encoder of a decoder: keys and values are no projections of encoder_hidden_states alone}}
  %y = qopt.embedding %ids, %table : tensor<?x?xi64>, !qopt.weight<16x8, f32> -> tensor<?x?x8xf32>
  %heads = onnx.Reshape %y, %sizes : (tensor<?x?x8xf32>, tensor<4xi64>) -> tensor<?x?x2x4xf32>
  %k = onnx.Transpose %heads {perm = array<i64: 0, 2, 1, 3>} : (tensor<?x?x2x4xf32>) -> tensor<?x2x?x4xf32>
  return %k, %k : tensor<?x2x?x4xf32>, tensor<?x2x?x4xf32>
}

// -----

// expected-error @+1 {{it has no functions "encoder" and "decoder"}}
module {
}
