// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// The gradient of attention has the attention's options, and results like q, k and v.

// CHECK-LABEL: @capped
func.func @capped(%q: tensor<1x?x8x64xf32>, %k: tensor<1x4x?x64xf32>, %v: tensor<1x4x?x64xf32>, %y: tensor<1x?x8x64xf32>, %g: tensor<1x?x8x64xf32>) -> (tensor<1x?x8x64xf32>, tensor<1x4x?x64xf32>, tensor<1x4x?x64xf32>) {
  // CHECK: qopt.attention_gradient {{.*}} scale {{.*}} causal softcap {{.*}} : tensor<1x?x8x64xf32>, tensor<1x4x?x64xf32>, tensor<1x4x?x64xf32>, tensor<1x?x8x64xf32>
  %dq, %dk, %dv = qopt.attention_gradient %q, %k, %v, %y, %g scale 0.125 causal softcap 50.0 : tensor<1x?x8x64xf32>, tensor<1x4x?x64xf32>, tensor<1x4x?x64xf32>, tensor<1x?x8x64xf32>
  return %dq, %dk, %dv : tensor<1x?x8x64xf32>, tensor<1x4x?x64xf32>, tensor<1x4x?x64xf32>
}

// CHECK-LABEL: @masked
func.func @masked(%q: tensor<?x?x8x64xf32>, %k: tensor<?x4x?x64xf32>, %v: tensor<?x4x?x32xf32>, %y: tensor<?x?x8x32xf32>, %m: tensor<?x1x?x?xi1>) -> tensor<?x4x?x32xf32> {
  // CHECK: qopt.attention_gradient {{.*}} mask(%{{.*}} : tensor<?x1x?x?xi1>) scale {{.*}} causal window 64
  %dq, %dk, %dv = qopt.attention_gradient %q, %k, %v, %y, %y mask(%m : tensor<?x1x?x?xi1>) scale 0.125 causal window 64 : tensor<?x?x8x64xf32>, tensor<?x4x?x64xf32>, tensor<?x4x?x32xf32>, tensor<?x?x8x32xf32>
  return %dv : tensor<?x4x?x32xf32>
}

// CHECK-LABEL: @far
func.func @far(%q: tensor<1x?x8x64xf32>, %k: tensor<1x4x?x64xf32>) -> tensor<1x4x?x64xf32> {
  // CHECK: qopt.attention_gradient {{.*}} causal distance 32 :
  %dq, %dk, %dv = qopt.attention_gradient %q, %k, %k, %q, %q scale 0.125 causal distance 32 : tensor<1x?x8x64xf32>, tensor<1x4x?x64xf32>, tensor<1x4x?x64xf32>, tensor<1x?x8x64xf32>
  return %dk : tensor<1x4x?x64xf32>
}
