// Which of Highway's targets this processor runs: what the kernels' run-time
// dispatch asks of Highway's library. Distributions build that library as a
// shared one only; where programs shall need nothing but the C library
// (QOPT_STATIC), HighwayTargets.cpp stands in for it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_HOST_HIGHWAYTARGETS_H
#define QOPT_RUNTIME_HOST_HIGHWAYTARGETS_H

#include <cstdint>

namespace qopt::host {

/// HWY_SSE4, HWY_AVX2, … of those that kernels are compiled for, as one mask;
/// of other processors than x86-64 the one that the compiler was asked for.
int64_t findHighwayTargets();

} // namespace qopt::host

#endif // QOPT_RUNTIME_HOST_HIGHWAYTARGETS_H
