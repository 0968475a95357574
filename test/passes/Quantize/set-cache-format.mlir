// RUN: qopt-opt %s -qopt-set-cache-format='key=int8 value=int4 page=64' | FileCheck %s
// RUN: qopt-opt %s -qopt-set-cache-format='key=int8 value=fp8_e4m3' | FileCheck %s --check-prefix=FP8
// RUN: not qopt-opt %s -qopt-set-cache-format='key=int5' 2>&1 | FileCheck %s --check-prefix=FORMAT
// RUN: not qopt-opt %s -qopt-set-cache-format='page=20' 2>&1 | FileCheck %s --check-prefix=PAGE
// RUN: qopt-opt %s -qopt-set-cache-format='key=int4_g32 value=int4' | FileCheck %s --check-prefix=GROUP
// RUN: qopt-opt %s -qopt-set-cache-format='key=int8_g64 page=64' | FileCheck %s --check-prefix=PAGES
// RUN: not qopt-opt %s -qopt-set-cache-format='value=int8_g32' 2>&1 | FileCheck %s --check-prefix=VALUES
// The cache has another type wherever it stands.

// FORMAT: error: option "key": format "int5": unknown element type "int5"
// GROUP: key = int4_g32, value = int4, page = 32
// PAGES: key = int8_g64, value = f16, page = 64
// VALUES: error: keys and values of a cache are {{.*}}, keys also int8 or int4 with a group of positions; got "int8_g32"
// FP8: key = int8, value = fp8_e4m3, page = 16
// PAGE: error: option "page" is 20; expected a multiple of 16

!cache = !qopt.kv_cache<layers = 1, kv_heads = 4, head_size = 64, key = f16, value = f16, page = 16>

// CHECK-LABEL: @append
// CHECK-SAME: !qopt.kv_cache<layers = 1, kv_heads = 4, head_size = 64, key = int8, value = int4, page = 64>) -> !qopt.kv_cache<layers = 1, kv_heads = 4, head_size = 64, key = int8, value = int4, page = 64>
func.func @append(%k: tensor<?x4x64xf16>, %batch: !qopt.batch, %cache: !cache) -> !cache {
  // CHECK: qopt.kv_append {{.*}} key = int8
  %next = qopt.kv_append %cache, %k, %k, %batch layer 0 : !cache, tensor<?x4x64xf16>
  return %next : !cache
}
