// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// Dense attention has a mask, is causal, has a window and a softcap, each if asked for.

// CHECK-LABEL: @masked
func.func @masked(%q: tensor<?x?x8x64xf32>, %k: tensor<?x4x?x64xf32>, %v: tensor<?x4x?x64xf32>, %m: tensor<?x1x?x?xi1>) -> tensor<?x?x8x64xf32> {
  // CHECK: qopt.attention {{.*}} mask(%{{.*}} : tensor<?x1x?x?xi1>) scale {{.*}} causal window 64 : tensor<?x?x8x64xf32>
  %y = qopt.attention %q, %k, %v mask(%m : tensor<?x1x?x?xi1>) scale 0.125 causal window 64 : tensor<?x?x8x64xf32>, tensor<?x4x?x64xf32>, tensor<?x4x?x64xf32> -> tensor<?x?x8x64xf32>
  return %y : tensor<?x?x8x64xf32>
}

// CHECK-LABEL: @capped
func.func @capped(%q: tensor<1x?x8x64xf32>, %k: tensor<1x8x?x64xf32>, %v: tensor<1x8x?x32xf32>) -> tensor<1x?x8x32xf32> {
  // CHECK: qopt.attention {{.*}} softcap {{.*}} : tensor<1x?x8x64xf32>, tensor<1x8x?x64xf32>, tensor<1x8x?x32xf32> -> tensor<1x?x8x32xf32>
  %y = qopt.attention %q, %k, %v scale 0.125 softcap 50.0 : tensor<1x?x8x64xf32>, tensor<1x8x?x64xf32>, tensor<1x8x?x32xf32> -> tensor<1x?x8x32xf32>
  return %y : tensor<1x?x8x32xf32>
}
