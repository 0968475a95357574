// RUN: qopt-opt %s -qopt-lower-generic | FileCheck %s
// What no kernel family of a GPU runs becomes linalg; ids are checked and 32 bits wide.

// Two key heads serve four query heads; a mask of one row for all; sums in f32.
// CHECK-LABEL: @attention
func.func @attention(%q: tensor<?x?x4x8xf16>, %k: tensor<?x2x?x8xf16>, %v: tensor<?x2x?x8xf16>, %m: tensor<?x1x1x?xi1>) -> tensor<?x?x4x8xf16> {
  // CHECK: %[[SCORES:.*]] = linalg.generic {{.*}}iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]} ins(%arg0, %arg1
  // CHECK: %[[MASKED:.*]] = linalg.generic {{.*}} ins(%[[SCORES]]
  // CHECK: tensor.extract %arg3
  // CHECK: %[[LARGEST:.*]] = linalg.generic {{.*}} ins(%[[MASKED]]
  // CHECK: %[[WEIGHTS:.*]] = linalg.generic {{.*}} ins(%[[MASKED]], %[[LARGEST]]
  // CHECK: %[[SUM:.*]] = linalg.generic {{.*}} ins(%[[WEIGHTS]]
  // CHECK: %[[VALUES:.*]] = linalg.generic {{.*}} ins(%[[WEIGHTS]], %arg2 {{.*}} outs(%{{.*}} : tensor<?x?x4x8xf32>)
  // CHECK: linalg.generic {{.*}} ins(%[[VALUES]], %[[SUM]] {{.*}} outs(%{{.*}} : tensor<?x?x4x8xf16>)
  // CHECK-NOT: qopt.attention
  %y = qopt.attention %q, %k, %v mask(%m : tensor<?x1x1x?xi1>) scale 0.5 causal window 4 softcap 8.0 : tensor<?x?x4x8xf16>, tensor<?x2x?x8xf16>, tensor<?x2x?x8xf16> -> tensor<?x?x4x8xf16>
  return %y : tensor<?x?x4x8xf16>
}

// CHECK-LABEL: @rotary
func.func @rotary(%x: tensor<?x?x4x8xf16>, %cos: tensor<?x2xf32>, %sin: tensor<?x2xf32>) -> tensor<?x?x4x8xf16> {
  // CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<?x?x4x8xf16>)
  // CHECK: tensor.extract %arg0
  // CHECK: tensor.extract %arg1
  // CHECK: tensor.extract %arg2
  %y = qopt.rotary %x, %cos, %sin : tensor<?x?x4x8xf16>, tensor<?x2xf32>
  return %y : tensor<?x?x4x8xf16>
}

// CHECK-LABEL: @graph_ids
func.func @graph_ids(%ids: tensor<?xi64>) -> tensor<?x4xf16> {
  // CHECK: %[[ROWS:.*]] = arith.constant 16 : index
  // CHECK: %[[CHECKED:.*]] = qopt.check_indices %arg0 limits(%[[ROWS]]) from_zero
  // CHECK: %[[IDS:.*]] = arith.trunci %[[CHECKED]] : tensor<?xi64> to tensor<?xi32>
  // CHECK: qopt.embedding %[[IDS]]
  %w = qopt.weight "w" codes(dense<0.5> : tensor<16x4xf16>) : !qopt.weight<16x4, f16>
  %y = qopt.embedding %ids, %w : tensor<?xi64>, !qopt.weight<16x4, f16> -> tensor<?x4xf16>
  return %y : tensor<?x4xf16>
}

// The engine has checked a decoder's tokens.
// CHECK-LABEL: @decoder_ids
func.func @decoder_ids(%ids: tensor<?xi32>) -> tensor<?x4xf16> attributes {qopt.decoder} {
  // CHECK-NOT: qopt.check_indices
  // CHECK: qopt.embedding %arg0
  %w = qopt.weight "w" codes(dense<0.5> : tensor<16x4xf16>) : !qopt.weight<16x4, f16>
  %y = qopt.embedding %ids, %w : tensor<?xi32>, !qopt.weight<16x4, f16> -> tensor<?x4xf16>
  return %y : tensor<?x4xf16>
}
