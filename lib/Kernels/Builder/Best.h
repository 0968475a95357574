// The largest of many numbers and where it is; among equals the first.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_BUILDER_BEST_H
#define QOPT_LIB_KERNELS_BUILDER_BEST_H

#include "lib/Kernels/Builder/Elements.h"

namespace qopt::kernels {

struct Best {
  Real value;
  Int index;

  /// Less than every number; the index is behind all others.
  static Best none(Kernel &kernel);
  static Best of(Kernel &kernel, const Kernel::Values &values);
  Kernel::Values values() const { return {value.value, index.value}; }
};

/// What is not a number never wins.
Best better(Best a, Best b);
/// The same in all lanes.
Best bestOfWarp(Kernel &kernel, Best best);
/// The same in all threads of a block of `warps` warps. Reserves the shared
/// memory that it needs: bestOfBlockBytes.
Best bestOfBlock(Kernel &kernel, Best best, int warps);
constexpr int64_t bestOfBlockBytes = 256;

} // namespace qopt::kernels

#endif // QOPT_LIB_KERNELS_BUILDER_BEST_H
