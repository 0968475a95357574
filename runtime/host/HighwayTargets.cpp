// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/HighwayTargets.h"

#include "hwy/targets.h"

#include <atomic>

int64_t qopt::host::findHighwayTargets() {
  int64_t targets = HWY_STATIC_TARGET;
#if HWY_ARCH_X86_64
  // The compiler's names of what each target's instructions are part of; each
  // target contains the one before it. They hold only where the system saves
  // the registers, too.
  auto sse4 = [] {
    return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("aes") &&
           __builtin_cpu_supports("pclmul");
  };
  auto avx2 = [] {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("f16c") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("lzcnt");
  };
  auto avx512 = [] {
    return __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512cd");
  };
  auto vnni = [] {
    return __builtin_cpu_supports("avx512vnni") &&
           __builtin_cpu_supports("avx512vbmi") &&
           __builtin_cpu_supports("avx512vbmi2") &&
           __builtin_cpu_supports("avx512bitalg") &&
           __builtin_cpu_supports("avx512vpopcntdq") &&
           __builtin_cpu_supports("vpclmulqdq") &&
           __builtin_cpu_supports("vaes");
  };
  if (!sse4())
    return targets;
  targets |= HWY_SSE4;
  if (!avx2())
    return targets;
  targets |= HWY_AVX2;
  if (!avx512())
    return targets;
  targets |= HWY_AVX3;
  if (vnni())
    targets |= HWY_AVX3_DL;
#endif
  return targets;
}

#ifdef QOPT_WITHOUT_LIBHWY
static std::atomic<int64_t> targetsForTest{0};

// What the headers call.
int64_t hwy::SupportedTargets() {
  static const int64_t targets = qopt::host::findHighwayTargets();
  int64_t forTest = targetsForTest.load();
  return forTest ? forTest : targets;
}

// The next dispatch asks again.
void hwy::SetSupportedTargetsForTest(int64_t targets) {
  targetsForTest.store(targets);
  GetChosenTarget().DeInit();
}

hwy::ChosenTarget &hwy::GetChosenTarget() {
  static ChosenTarget chosen;
  return chosen;
}
#endif
