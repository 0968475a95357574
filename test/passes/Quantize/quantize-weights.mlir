// RUN: qopt-opt %s -pass-pipeline='builtin.module(func.func(qopt-quantize-weights{weights=int4_g32 lm-head=int8 overrides=re:down=int8_g64,layers.0.up=f16}))' | FileCheck %s
// RUN: qopt-opt %s -pass-pipeline='builtin.module(func.func(qopt-quantize-weights{weights=int8 overrides=re:.=int8}))' --remarks-filter-passed=qopt-quantize-weights --remark-format=emitRemark -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK
// Each weight gets the format of the first rule that speaks of it, in the order override, role, default.

// CHECK-LABEL: @roles
func.func @roles(%ids: tensor<?xi32>, %x: tensor<?x128xf32>) -> tensor<?x256xf32> {
  %table = qopt.weight "embed" codes(dense<0.5> : tensor<256x64xf32>) : !qopt.weight<256x64, f32>
  %up = qopt.weight "layers.0.up" codes(dense<0.5> : tensor<128x64xf32>) : !qopt.weight<128x64, f32>
  %down = qopt.weight "layers.0.down" codes(dense<0.5> : tensor<64x128xf32>) : !qopt.weight<64x128, f32>
  %out = qopt.weight "layers.0.out" codes(dense<0.5> : tensor<64x64xf32>) : !qopt.weight<64x64, f32>
  %head = qopt.weight "lm_head" codes(dense<0.5> : tensor<256x64xf32>) : !qopt.weight<256x64, f32>
  // CHECK: %[[H:.*]] = qopt.embedding %arg0, %{{.*}} : tensor<?xi32>, !qopt.weight<256x64, f32>
  %h = qopt.embedding %ids, %table : tensor<?xi32>, !qopt.weight<256x64, f32> -> tensor<?x64xf32>
  // REMARK: "layers.0.up" becomes int8
  // CHECK: qopt.linear %[[H]], %{{.*}} !qopt.weight<128x64, f16>
  %a = qopt.linear %h, %up : tensor<?x64xf32>, !qopt.weight<128x64, f32> -> tensor<?x128xf32>
  // CHECK: qopt.linear %{{.*}} !qopt.weight<64x128, int8_g64>
  %b = qopt.linear %a, %down : tensor<?x128xf32>, !qopt.weight<64x128, f32> -> tensor<?x64xf32>
  // CHECK: qopt.linear %{{.*}} !qopt.weight<64x64, int4_g32>
  %c = qopt.linear %b, %out : tensor<?x64xf32>, !qopt.weight<64x64, f32> -> tensor<?x64xf32>
  // CHECK: %[[Q:.*]] = qopt.quantize_weight %{{.*}} rtn : !qopt.weight<256x64, f32> -> !qopt.weight<256x64, int8>
  // CHECK: qopt.linear %{{.*}}, %[[Q]]
  %l = qopt.linear %c, %head : tensor<?x64xf32>, !qopt.weight<256x64, f32> -> tensor<?x256xf32>
  return %l : tensor<?x256xf32>
}
