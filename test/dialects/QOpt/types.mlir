// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// Types and attributes print as they are read.

// CHECK-LABEL: @types
// CHECK-SAME: !qopt.weight<512x1408, int4_g32>
// CHECK-SAME: !qopt.weight<512x1408, int8, layout = host_tiled>
// CHECK-SAME: !qopt.weight<96x64, [64: int8, 32: int4_g32], layout = cuda_strips>
// CHECK-SAME: !qopt.quantized<?x512, int8_g32_sf32>
// CHECK-SAME: !qopt.quantized<?x512, fp8_e4m3>
// CHECK-SAME: !qopt.quantized<?x512, int8_tensor, scale = 1.250000e-01>
// CHECK-SAME: !qopt.kv_cache<layers = 8, kv_heads = 4, head_size = 64, key = f16, value = f16, page = 16>
// CHECK-SAME: !qopt.kv_cache<layers = 8, kv_heads = 4, head_size = 64, key = int8, value = fp8_e4m3, page = 64>
// CHECK-SAME: !qopt.kv_cache<layers = 8, kv_heads = 4, head_size = 64, key = int4_g32, value = int4, page = 64>
// CHECK-SAME: !qopt.kv_cache<layers = 8, kv_heads = 4, head_size = 64, key = int2_asym_g32_zf, value = int3_g16, page = 64, recent = 64, first = 16>
// CHECK-SAME: !qopt.kv_cache<layers = 2, kv_heads = 4, head_size = 64, key = int8, value = [f16, int4], page = 64>
// CHECK-SAME: !qopt.kv_cache<layers = 3, kv_heads = 4, head_size = 64, key = [int8, f16, int4_g64], value = int4, page = 64, recent = [32, 0, 64], first = [0, 0, 16]>
// CHECK-SAME: !qopt.kv_cache<layers = 3, kv_heads = 4, head_size = 64, key = int8, value = int4, page = 64>
// CHECK-SAME: !qopt.batch
func.func private @types(!qopt.weight<512x1408, int4_g32>, !qopt.weight<512x1408, int8, layout = host_tiled>,
  !qopt.weight<96x64, [64: int8, 32: int4_g32], layout = cuda_strips>,
  !qopt.quantized<?x512, int8_g32_sf32>, !qopt.quantized<?x512, fp8_e4m3>,
  !qopt.quantized<?x512, int8_tensor, scale = 0.125>,
  !qopt.kv_cache<layers = 8, kv_heads = 4, head_size = 64, key = f16, value = f16, page = 16>,
  !qopt.kv_cache<layers = 8, kv_heads = 4, head_size = 64, key = int8, value = fp8_e4m3, page = 64>,
  !qopt.kv_cache<layers = 8, kv_heads = 4, head_size = 64, key = int4_g32, value = int4, page = 64>,
  !qopt.kv_cache<layers = 8, kv_heads = 4, head_size = 64, key = int2_asym_g32_zf, value = int3_g16, page = 64, recent = 64, first = 16>,
  !qopt.kv_cache<layers = 2, kv_heads = 4, head_size = 64, key = int8, value = [f16, int4], page = 64>,
  !qopt.kv_cache<layers = 3, kv_heads = 4, head_size = 64, key = [int8, f16, int4_g64], value = int4, page = 64, recent = [32, 0, 64], first = [0, 0, 16]>,
  !qopt.kv_cache<layers = 3, kv_heads = 4, head_size = 64, key = int8, value = int4, page = 64, recent = 0>, !qopt.batch)

// CHECK-LABEL: @observations
// CHECK-SAME: [#qopt.observation<input of ["q", "k"]>, #qopt.observation<key_gradient of [0]>]
func.func private @observations() attributes {
  observations = [#qopt.observation<input of ["q", "k"]>, #qopt.observation<key_gradient of [0]>]}

// CHECK-LABEL: @formats
// CHECK-SAME: [#qopt.format<bf16>, #qopt.format<int4_asym_g64>, #qopt.format<int8_tensor>, #qopt.format<int4_asym_g32_zf>, #qopt.format<fp8_e4m3_g32>]
func.func private @formats() attributes {
  formats = [#qopt.format<bf16>, #qopt.format<int4_asym_g64>, #qopt.format<int8_tensor>, #qopt.format<int4_asym_g32_zf>, #qopt.format<fp8_e4m3_g32>]}
