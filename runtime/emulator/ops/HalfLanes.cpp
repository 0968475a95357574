// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/ops/HalfLanes.h"

#include "runtime/emulator/numerics/Half.h"

#include <cstring>

#include "runtime/emulator/ops/HalfLanes-inl.h"

namespace qopt::emulator {

const HalfLanes &halfLanes() {
  static const HalfLanes chosen = [] {
    HalfLanes functions = lanesOfThisTarget;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
      functions = halfLanesAvx2();
    if (__builtin_cpu_supports("x86-64-v4"))
      functions = halfLanesAvx512();
#endif
    return functions;
  }();
  return chosen;
}

} // namespace qopt::emulator
