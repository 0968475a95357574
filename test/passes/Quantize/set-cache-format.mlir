// RUN: qopt-opt %s -qopt-set-cache-format='key=int8 value=int4 page=64' | FileCheck %s
// RUN: qopt-opt %s -qopt-set-cache-format='key=int8 value=fp8_e4m3' | FileCheck %s --check-prefix=FP8
// RUN: not qopt-opt %s -qopt-set-cache-format='key=int7' 2>&1 | FileCheck %s --check-prefix=FORMAT
// RUN: not qopt-opt %s -qopt-set-cache-format='page=20' 2>&1 | FileCheck %s --check-prefix=PAGE
// RUN: qopt-opt %s -qopt-set-cache-format='key=int4_g32 value=int4' | FileCheck %s --check-prefix=GROUP
// RUN: qopt-opt %s -qopt-set-cache-format='key=int8_g64 page=64' | FileCheck %s --check-prefix=PAGES
// RUN: qopt-opt %s -qopt-set-cache-format='key=int2_asym_g64_zf value=int3_g32 recent=64 first=16' | FileCheck %s --check-prefix=RECENT
// RUN: not qopt-opt %s -qopt-set-cache-format='value=int8_g24' 2>&1 | FileCheck %s --check-prefix=VALUES
// RUN: qopt-opt %s -qopt-set-cache-format='key=int8 value=int8 overrides=cache.0.key=int4_g32,re:value$=f16' | FileCheck %s --check-prefix=LAYERS
// RUN: not qopt-opt %s -qopt-set-cache-format='overrides=cache.2.key=int8' 2>&1 | FileCheck %s --check-prefix=UNMATCHED
// RUN: not qopt-opt %s -qopt-set-cache-format='overrides=re:key=int8,cache.0.key=f16' 2>&1 | FileCheck %s --check-prefix=HIDDEN
// RUN: not qopt-opt %s -qopt-set-cache-format='before-rotary=true' 2>&1 | FileCheck %s --check-prefix=AHEAD
// RUN: not qopt-opt %s -qopt-set-cache-format='overrides=cache.0.key=int8,before_rotary' 2>&1 | FileCheck %s --check-prefix=LAYER-AHEAD
// The cache has another type wherever it stands.

// FORMAT: error: option "key": format "int7": unknown element type "int7"
// GROUP: key = int4_g32, value = int4, page = 32
// PAGES: key = int8_g64, value = f16, page = 64
// RECENT: key = int2_asym_g64_zf, value = int3_g32, page = 64, recent = 64, first = 16
// VALUES: error: a group of values is a multiple of 16 channels that divides a head of 64; got 24
// LAYERS: @layers
// LAYERS-SAME: key = [int4_g32, int8], value = f16, page = 32
// UNMATCHED: error: --kv-format "cache.2.key=int8" matches no cache of the model; they are called cache.0.key, cache.0.value
// HIDDEN: error: --kv-format "cache.0.key=f16" has no effect: all that it matches, an earlier one matches too
// LAYER-AHEAD: error: keys of layer 0 are not rotated by a table of their positions, so that "before_rotary" of --kv-format has nothing to put off
// FP8: key = int8, value = fp8_e4m3, page = 16
// AHEAD: error: keys of layer 0 are not rotated by a table of their positions, so that "before_rotary" of --kv has nothing to put off
// PAGE: error: option "page" is 20; expected a multiple of 16

!cache = !qopt.kv_cache<layers = 1, kv_heads = 4, head_size = 64, key = f16, value = f16, page = 16>

// CHECK-LABEL: @append
// CHECK-SAME: !qopt.kv_cache<layers = 1, kv_heads = 4, head_size = 64, key = int8, value = int4, page = 64>) -> !qopt.kv_cache<layers = 1, kv_heads = 4, head_size = 64, key = int8, value = int4, page = 64>
func.func @append(%k: tensor<?x4x64xf16>, %batch: !qopt.batch, %cache: !cache) -> !cache {
  // CHECK: qopt.kv_append {{.*}} key = int8
  %next = qopt.kv_append %cache, %k, %k, %batch layer 0 : !cache, tensor<?x4x64xf16>
  return %next : !cache
}

func.func @layers(%cache: !qopt.kv_cache<layers = 2, kv_heads = 4, head_size = 64, key = f16, value = f16, page = 16>) {
  return
}
