// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Builder/Best.h"

#include <cmath>
#include <cstdint>

using namespace mlir;
using namespace qopt;
using namespace qopt::kernels;

Best Best::none(Kernel &kernel) {
  return {kernel.real(-INFINITY), kernel.constant(INT32_MAX)};
}

Best Best::of(Kernel &kernel, const Kernel::Values &values) {
  return {{{&kernel, values[0]}}, {{&kernel, values[1]}}};
}

Best kernels::better(Best a, Best b) {
  Flag first = a.value > b.value || (a.value == b.value && a.index < b.index);
  return {select(first, a.value, b.value), select(first, a.index, b.index)};
}

Best kernels::bestOfWarp(Kernel &kernel, Best best) {
  for (int distance = 16; distance > 0; distance /= 2)
    best = better(best, {fromLaneAcross(kernel, best.value, distance),
                         fromLaneAcross(kernel, best.index, distance)});
  return best;
}

Best kernels::bestOfBlock(Kernel &kernel, Best best, int warps) {
  best = bestOfWarp(kernel, best);
  if (warps == 1)
    return best;
  Int scratch = kernel.shared(bestOfBlockBytes);
  kernel.when(kernel.lane() == 0, [&] {
    kernel.storeShared(scratch + kernel.warp() * 8, 0,
                       {kernel.bits(best.value), best.index});
  });
  kernel.syncBlock();
  Int lane = kernel.lane();
  Kernel::Values part =
      kernel.when(lane < kernel.constant(warps), Best::none(kernel).values(),
                  [&](Kernel::Values) -> Kernel::Values {
                    std::vector<Int> words =
                        kernel.loadShared(scratch + lane * 8, 0, 2);
                    return {kernel.asReal(words[0]).value, words[1].value};
                  });
  return bestOfWarp(kernel, Best::of(kernel, part));
}
