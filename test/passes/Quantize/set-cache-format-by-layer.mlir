// RUN: qopt-opt %s -qopt-set-cache-format='key=int8 recent=32 overrides=cache.0.key=int4_g64,recent=64,first=16,cache.1.value=f16,recent=0' | FileCheck %s --check-prefix=WORDS
// RUN: not qopt-opt %s -qopt-set-cache-format='overrides=cache.1.key=int8,recent=32,cache.1.value=int8,recent=64' 2>&1 | FileCheck %s --check-prefix=TWO
// RUN: not qopt-opt %s -qopt-set-cache-format='key=int4_g64 overrides=cache.0.value=int8,recent=32' 2>&1 | FileCheck %s --check-prefix=FEWER
// RUN: not qopt-opt %s -qopt-set-cache-format='overrides=cache.0.key=int8,recent=32,recent=64' 2>&1 | FileCheck %s --check-prefix=TWICE
// Latest and first positions of single layers, which keys and values of a layer have alike.

// WORDS: @layers
// WORDS-SAME: key = [int4_g64, int8], value = f16, page = 64, recent = [64, 0], first = [16, 0]
// TWO: error: --kv-format has recent=32 for keys and recent=64 for values of layer 1, which are kept side by side; expected one number
// FEWER: error: a cache keeps a multiple of 32 latest positions, not fewer than a group of keys, {{.*}} got 32 and 0 in layer 0
// TWICE: error: --kv-format "cache.0.key=int8,recent=32,recent=64": "recent=64" of "int8,recent=32,recent=64" is no word behind a format of a cache

func.func @layers(%cache: !qopt.kv_cache<layers = 2, kv_heads = 4, head_size = 64, key = f16, value = f16, page = 16>) {
  return
}
