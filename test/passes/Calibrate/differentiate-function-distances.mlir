// RUN: qopt-opt %s --pass-pipeline='builtin.module(func.func(qopt-differentiate-function{distances=32,64}))' | FileCheck %s
// Beside the gradients of keys and values the part of them that far queries give, for each distance.

// CHECK-LABEL: func.func @attention
// CHECK-SAME: {qopt.name = "attention0.value_gradient"
// CHECK-SAME: {qopt.name = "attention0.far_key_gradient.32", qopt.observation = #qopt.observation<far_key_gradient of [0, 32]>}
// CHECK-SAME: {qopt.name = "attention0.far_value_gradient.32", qopt.observation = #qopt.observation<far_value_gradient of [0, 32]>}
// CHECK-SAME: <far_key_gradient of [0, 64]>
// CHECK-SAME: <far_value_gradient of [0, 64]>
func.func @attention(%q: tensor<1x?x4x8xf32>, %k: tensor<1x2x?x8xf32>) -> tensor<1x?x4x8xf32> {
  // CHECK: %[[DQ:.*]], %[[DK:.*]], %[[DV:.*]] = qopt.attention_gradient %[[Operands:.*]] scale {{.*}} causal : tensor
  // CHECK: %[[NoQ:.*]], %[[NearK:.*]], %[[NearV:.*]] = qopt.attention_gradient %[[Operands]] scale {{.*}} causal distance 32
  // CHECK: %{{.*}}, %[[FarK:.*]], %[[FarV:.*]] = qopt.attention_gradient %[[Operands]] scale {{.*}} causal distance 64
  // CHECK: return %[[DQ]], %{{.*}}, %[[DK]], %{{.*}}, %[[DV]], %[[NearK]], %[[NearV]], %[[FarK]], %[[FarV]]
  %y = qopt.attention %q, %k, %k scale 0.5 causal : tensor<1x?x4x8xf32>, tensor<1x2x?x8xf32>, tensor<1x2x?x8xf32> -> tensor<1x?x4x8xf32>
  return %y : tensor<1x?x4x8xf32>
}
