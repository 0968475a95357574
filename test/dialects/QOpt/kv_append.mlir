// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// An append takes a cache and gives the next.

// CHECK-LABEL: @append
func.func @append(%cache: !qopt.kv_cache<layers = 2, kv_heads = 4, head_size = 64, key = f16, value = f16, page = 16>, %k: tensor<?x4x64xf32>, %v: tensor<?x4x64xf32>, %batch: !qopt.batch) {
  // CHECK: qopt.kv_append %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} layer 0 : !qopt.kv_cache<layers = 2, {{.*}}>, tensor<?x4x64xf32>
  %next = qopt.kv_append %cache, %k, %v, %batch layer 0 : !qopt.kv_cache<layers = 2, kv_heads = 4, head_size = 64, key = f16, value = f16, page = 16>, tensor<?x4x64xf32>
  return
}
