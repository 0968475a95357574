// What every SIMD kernel starts from: Highway, the intrinsics it lacks, and a
// few vector functions. Included once for each target, hence the unusual guard;
// a kernel file includes it after foreach_target.h.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <hwy/highway.h>

#include <cstdint>
#include <cstring>

#if HWY_ARCH_X86
#include <immintrin.h>
#elif HWY_ARCH_ARM
#include <arm_neon.h>
#endif

#if defined(QOPT_RUNTIME_HOST_SIMD_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef QOPT_RUNTIME_HOST_SIMD_INL_H
#undef QOPT_RUNTIME_HOST_SIMD_INL_H
#else
#define QOPT_RUNTIME_HOST_SIMD_INL_H
#endif

// Highway 1.0.3 chooses AVX3_DL by the AVX-512 VNNI bit of CPUID but compiles
// it without that extension.
#if HWY_TARGET == HWY_AVX3_DL
#undef HWY_TARGET_STR
#define HWY_TARGET_STR                                                         \
  HWY_TARGET_STR_AVX3 ",vpclmulqdq,avx512vbmi,avx512vbmi2,vaes,avxvnni,"       \
                      "avx512bitalg,avx512vpopcntdq,avx512vnni"
#endif

HWY_BEFORE_NAMESPACE();
namespace qopt::host::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using FloatTag = hn::ScalableTag<float>;
using FloatVector = hn::Vec<FloatTag>;

/// `count` values from `p`, zeros behind them; reads nothing else.
HWY_INLINE FloatVector loadPartial(FloatTag d, const float *p, size_t count) {
#if HWY_MEM_OPS_MIGHT_FAULT
  HWY_ALIGN float buffer[hn::MaxLanes(FloatTag())] = {};
  std::memcpy(buffer, p, count * sizeof(float));
  return hn::Load(d, buffer);
#else
  return hn::MaskedLoad(hn::FirstN(d, count), d, p);
#endif
}

/// Writes the first `count` lanes and nothing else.
HWY_INLINE void storePartial(FloatVector v, FloatTag d, float *p,
                             size_t count) {
#if HWY_MEM_OPS_MIGHT_FAULT
  HWY_ALIGN float buffer[hn::MaxLanes(FloatTag())];
  hn::Store(v, d, buffer);
  std::memcpy(p, buffer, count * sizeof(float));
#else
  hn::BlendedStore(v, hn::FirstN(d, count), d, p);
#endif
}

HWY_INLINE float sumOf(FloatTag d, FloatVector v) {
  return hn::GetLane(hn::SumOfLanes(d, v));
}
HWY_INLINE float maxOf(FloatTag d, FloatVector v) {
  return hn::GetLane(hn::MaxOfLanes(d, v));
}

} // namespace qopt::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // per-target guard
