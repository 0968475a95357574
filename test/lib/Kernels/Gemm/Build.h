// A problem of gemm as text, its kernel, and its launch on the emulator.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TEST_LIB_KERNELS_GEMM_BUILD_H
#define QOPT_TEST_LIB_KERNELS_GEMM_BUILD_H

#include "../KernelTest.h"
#include "../SkinnyLinear/Case.h"
#include "lib/Kernels/Gemm/Gemm.h"

namespace qopt::kernels::gemm {

/// "tokens=129 k=256 rows=200:int4_g32 act=f16 out=f16 epilogue=bias
/// arch=sm_90a", and the members of Schedule by name to change what it chose.
struct Case {
  skinny_linear::Case layer;
  Problem problem;
  Schedule schedule;
};

StatusOr<Case> parseCase(const std::string &text);

StatusOr<test::Compiled> compileCase(const Case &test);

/// y of a launch with all checks, as the bits of its type.
StatusOr<std::vector<uint8_t>>
runCase(const Case &test, const test::Compiled &kernel,
        const skinny_linear::Arrays &arrays, uint64_t seed = 1,
        emulator::Statistics *statistics = nullptr);

} // namespace qopt::kernels::gemm

#endif // QOPT_TEST_LIB_KERNELS_GEMM_BUILD_H
