// RUN: qopt-opt %s -split-input-file -verify-diagnostics
// Each constraint of the types is checked and has a message.

// weight (C1)
// expected-error @+1 {{a weight has positive dimensions; got 0x64}}
func.func private @f(!qopt.weight<0x64, f16>)

// -----

// weight (C2)
// expected-error @+1 {{neighbouring ranges of a weight have one format, f16; expected one range of both}}
func.func private @f(!qopt.weight<8x64, [4: f16, 4: f16]>)

// -----

// weight (C2)
// expected-error @+1 {{a range of a weight has 0 rows; expected at least one}}
func.func private @f(!qopt.weight<8x64, [8: f16, 0: int8]>)

// -----

// weight (C2)
// expected-error @+1 {{the ranges of a weight have 12 rows; expected 8}}
func.func private @f(!qopt.weight<8x64, [4: f16, 8: int8]>)

// -----

// weight
// expected-error @+1 {{a weight has two dimensions, rows x columns; got 1}}
func.func private @f(!qopt.weight<64, f16>)

// -----

// format
// expected-error @+1 {{format "int7_g32": unknown element type "int7"; expected one of f32, f16, bf16, int8, int4, fp8_e4m3, int3, int2}}
func.func private @f(!qopt.weight<8x64, int7_g32>)

// -----

// quantized (C1)
// expected-error @+1 {{quantized activations have a static last dimension; got 4x?}}
func.func private @f(!qopt.quantized<4x?, int8>)

// -----

// quantized (C2)
// expected-error @+1 {{quantized activations have a symmetric format of integers or fp8 with f32 scales, for example "int8", "int8_g32_sf32" or "fp8_e4m3", or "int8_asym"; got "int8_g32"}}
func.func private @f(!qopt.quantized<4x64, int8_g32>)

// -----

// quantized (C2)
// expected-error @+1 {{quantized activations have a symmetric format of integers or fp8 with f32 scales, for example "int8", "int8_g32_sf32" or "fp8_e4m3", or "int8_asym"; got "f16"}}
func.func private @f(!qopt.quantized<4x64, f16>)

// -----

// quantized (C2)
// expected-error @+1 {{or "int8_asym"; got "int4_asym"}}
func.func private @f(!qopt.quantized<4x64, int4_asym>)

// -----

// quantized (C3)
// expected-error @+1 {{quantized activations have a scale of their type where it is one for all rows, with "int8_tensor" or "fp8_e4m3_tensor"; got "int8_tensor" and no scale}}
func.func private @f(!qopt.quantized<4x64, int8_tensor>)

// -----

// quantized (C3)
// expected-error @+1 {{got "int8" and a scale}}
func.func private @f(!qopt.quantized<4x64, int8, scale = 0.5>)

// -----

// quantized (C3)
// expected-error @+1 {{the scale of quantized activations is a positive, finite f32; got -5.000000e-01}}
func.func private @f(!qopt.quantized<4x64, int8_tensor, scale = -0.5>)

// -----

// format
// expected-error @+1 {{format "fp8_e4m3_asym": fp8_e4m3 has no zero points}}
func.func private @f(!qopt.weight<8x64, fp8_e4m3_asym>)

// -----

// kv_cache (C1)
// expected-error @+1 {{layers of a cache is positive; got 0}}
func.func private @f(!qopt.kv_cache<layers = 0, kv_heads = 4, head_size = 64, key = f16, value = f16, page = 16>)

// -----

// kv_cache (C2)
// expected-error @+1 {{keys and values of a cache are f32, f16, bf16, int8, int4 or fp8_e4m3, or integers in groups; got "int3"}}
func.func private @f(!qopt.kv_cache<layers = 1, kv_heads = 4, head_size = 64, key = int3, value = f16, page = 32>)

// -----

// kv_cache (C2): no zero points, and scales as pages have them
// expected-error @+1 {{got "int4_asym_g32"}}
func.func private @f(!qopt.kv_cache<layers = 1, kv_heads = 4, head_size = 64, key = int4_asym_g32, value = f16, page = 32>)

// -----

// kv_cache (C2): codes shorter than int4 are in groups
// expected-error @+1 {{got "int3"}}
func.func private @f(!qopt.kv_cache<layers = 1, kv_heads = 4, head_size = 64, key = f16, value = int3, page = 32>)

// -----

// kv_cache (C2)
// expected-error @+1 {{got "int4_g32_sf32"}}
func.func private @f(!qopt.kv_cache<layers = 1, kv_heads = 4, head_size = 64, key = int4_g32_sf32, value = f16, page = 32>)

// -----

// kv_cache (C3)
// expected-error @+1 {{a group of keys is a multiple of 32 positions that divides a page of 48; got 32}}
func.func private @f(!qopt.kv_cache<layers = 1, kv_heads = 4, head_size = 64, key = int4_g32, value = f16, page = 48>)

// -----

// kv_cache (C3)
// expected-error @+1 {{a group of values is a multiple of 16 channels that divides a head of 64; got 48}}
func.func private @f(!qopt.kv_cache<layers = 1, kv_heads = 4, head_size = 64, key = f16, value = int3_g48, page = 32>)

// -----

// kv_cache (C4)
// expected-error @+1 {{a cache keeps a multiple of 32 latest positions, not fewer than a group of keys, and then a multiple of 16 first ones; got 32 and 0}}
func.func private @f(!qopt.kv_cache<layers = 1, kv_heads = 4, head_size = 64, key = int4_g64, value = f16, page = 64, recent = 32>)

// -----

// kv_cache (C4)
// expected-error @+1 {{got 0 and 16}}
func.func private @f(!qopt.kv_cache<layers = 1, kv_heads = 4, head_size = 64, key = f16, value = int8, page = 64, first = 16>)

// -----

// kv_cache (C4): of the second layer
// expected-error @+1 {{not fewer than a group of keys, and then a multiple of 16 first ones; got 32 and 0 in layer 1}}
func.func private @f(!qopt.kv_cache<layers = 2, kv_heads = 4, head_size = 64, key = int4_g64, value = f16, page = 64, recent = [64, 32]>)

// -----

// kv_cache (C4): of the third layer
// expected-error @+1 {{got 0 and 16 in layer 2}}
func.func private @f(!qopt.kv_cache<layers = 3, kv_heads = 4, head_size = 64, key = f16, value = int8, page = 64, recent = [32, 32, 0], first = 16>)

// -----

// kv_cache (C3): of the second layer
// expected-error @+1 {{a group of keys is a multiple of 32 positions that divides a page of 48; got 32}}
func.func private @f(!qopt.kv_cache<layers = 2, kv_heads = 4, head_size = 64, key = [int8, int4_g32], value = f16, page = 48>)

// -----

// kv_cache (C5)
// expected-error @+1 {{a cache has one format of all layers or one of each of its 3; got 2}}
func.func private @f(!qopt.kv_cache<layers = 3, kv_heads = 4, head_size = 64, key = f16, value = [f16, int8], page = 16>)

// -----

// kv_cache (C5)
// expected-error @+1 {{the layers of a cache have one format, int8; expected it once}}
func.func private @f(!qopt.kv_cache<layers = 2, kv_heads = 4, head_size = 64, key = [int8, int8], value = f16, page = 16>)

// -----

// kv_cache (C5)
// expected-error @+1 {{a cache has one number of latest positions of all layers or one of each of its 3; got 2}}
func.func private @f(!qopt.kv_cache<layers = 3, kv_heads = 4, head_size = 64, key = f16, value = int8, page = 16, recent = [32, 0]>)

// -----

// kv_cache (C5)
// expected-error @+1 {{the layers of a cache have one number of first positions, 16; expected it once}}
func.func private @f(!qopt.kv_cache<layers = 2, kv_heads = 4, head_size = 64, key = f16, value = int8, page = 16, recent = 32, first = [16, 16]>)
