// Highway's library, where it is linked, finds the same targets in this
// processor as what stands in for it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/HighwayTargets.h"

#include "hwy/targets.h"

#include <gtest/gtest.h>

using namespace qopt::host;

TEST(HighwayTargets, AreThoseOfTheLibrary) {
#if HWY_ARCH_X86_64
  // Without those that the kernels are not compiled for.
  int64_t compiled = HWY_SSE4 | HWY_AVX2 | HWY_AVX3 | HWY_AVX3_DL;
#else
  int64_t compiled = HWY_STATIC_TARGET;
#endif
  EXPECT_EQ(findHighwayTargets() & compiled,
            hwy::SupportedTargets() & compiled);
  EXPECT_NE(findHighwayTargets() & compiled, 0);
}

TEST(HighwayTargets, ATestChoosesOne) {
  hwy::SetSupportedTargetsForTest(HWY_STATIC_TARGET);
  EXPECT_EQ(hwy::SupportedTargets(), HWY_STATIC_TARGET);
  hwy::SetSupportedTargetsForTest(0);
  EXPECT_NE(hwy::SupportedTargets(), 0);
}
