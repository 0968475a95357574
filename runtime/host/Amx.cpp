// Detection by CPUID leaf 7 and the permission by arch_prctl.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/Amx.h"

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace qopt::host {

#if defined(__x86_64__) && defined(__linux__)
/// ARCH_REQ_XCOMP_PERM for the state component of tile data.
constexpr long requestPermission = 0x1023;
constexpr long tileData = 18;

static bool askForAmx() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d))
    return false;
  constexpr unsigned bf16 = 1u << 22, tiles = 1u << 24, int8 = 1u << 25;
  constexpr unsigned all = bf16 | tiles | int8;
  return (d & all) == all &&
         syscall(SYS_arch_prctl, requestPermission, tileData) == 0;
}
#else
static bool askForAmx() { return false; }
#endif

bool amxAvailable() {
  static const bool granted = askForAmx();
  return granted;
}

} // namespace qopt::host
