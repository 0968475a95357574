// AMX inside Highway's AVX3_DL target: the target string and the configuration
// of the tile registers. `QOPT_HAVE_AMX` is 1 while that target is compiled.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/Simd-inl.h"

#undef QOPT_HAVE_AMX
#if HWY_TARGET == HWY_AVX3_DL && defined(__linux__)
#define QOPT_HAVE_AMX 1
#undef HWY_TARGET_STR
#define HWY_TARGET_STR                                                         \
  HWY_TARGET_STR_AVX3 ",vpclmulqdq,avx512vbmi,avx512vbmi2,vaes,avxvnni,"       \
                      "avx512bitalg,avx512vpopcntdq,avx512vnni,avx512bf16,"    \
                      "amx-tile,amx-int8,amx-bf16"
#else
#define QOPT_HAVE_AMX 0
#endif

#if defined(QOPT_RUNTIME_HOST_AMX_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef QOPT_RUNTIME_HOST_AMX_INL_H
#undef QOPT_RUNTIME_HOST_AMX_INL_H
#else
#define QOPT_RUNTIME_HOST_AMX_INL_H
#endif

#if QOPT_HAVE_AMX
HWY_BEFORE_NAMESPACE();
namespace qopt::host::HWY_NAMESPACE {

/// Rows and bytes of a row of the eight tile registers, as LDTILECFG reads
/// them.
struct alignas(64) TileShapes {
  uint8_t palette = 1;
  uint8_t startRow = 0;
  uint8_t reserved[14] = {};
  uint16_t rowBytes[16] = {};
  uint8_t rows[16] = {};

  HWY_INLINE void set(int tile, int64_t tileRows, int64_t bytes) {
    rows[tile] = static_cast<uint8_t>(tileRows);
    rowBytes[tile] = static_cast<uint16_t>(bytes);
  }
};

} // namespace qopt::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif // QOPT_HAVE_AMX

#endif // per-target guard
