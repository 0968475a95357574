// RUN: qopt-translate --import-onnx %data/stories260k/model.onnx --weights | qopt-opt -qopt-raise-stage='as=decoder' | FileCheck %s
// RUN: not qopt-opt %s -qopt-raise-decoder='required' 2>&1 | FileCheck %s --check-prefix=NONE
// A real causal language model becomes a step over a ragged batch; what is none is said to be none.

// CHECK: func.func @step(%[[TOKENS:.*]]: tensor<?xi32>, %[[BATCH:.*]]: !qopt.batch, %[[CACHE:.*]]: !qopt.kv_cache<layers = 5, kv_heads = 4, head_size = 8, key = f32, value = f32, page = 16>) -> (tensor<?x512xf32>, !qopt.kv_cache
// CHECK: qopt.embedding %[[TOKENS]]
// CHECK: qopt.positions %[[BATCH]]
// CHECK: %[[FIRST:.*]] = qopt.kv_append %[[CACHE]], %{{.*}}, %{{.*}}, %[[BATCH]] layer 0
// CHECK: qopt.cached_attention %{{.*}}, %[[FIRST]], %[[BATCH]] layer 0
// CHECK: %[[SECOND:.*]] = qopt.kv_append %[[FIRST]], %{{.*}}, %{{.*}}, %[[BATCH]] layer 1
// CHECK: %[[LAST:.*]] = qopt.kv_append {{.*}} layer 4
// CHECK: %[[ROWS:.*]] = qopt.select_rows %{{.*}}, %[[BATCH]]
// CHECK: return %{{.*}}, %[[LAST]]
// CHECK-NOT: func.func @main

// NONE: error: the model cannot be compiled as a decoder
func.func @main(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  return %x : tensor<?x4xf32>
}
