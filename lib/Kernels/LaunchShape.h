// How a kernel over rows (tokens, sequences) is launched: what of a launch is
// known when it is compiled, so that the runtime has but to count rows.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_LAUNCHSHAPE_H
#define QOPT_LIB_KERNELS_LAUNCHSHAPE_H

#include "lib/Target/Target.h"
#include "qopt/Status.h"

#include <cstdint>
#include <type_traits>

namespace qopt::kernels {

struct LaunchShape {
  int threads = 0;          ///< of a block
  int64_t rowsPerBlock = 1; ///< or …
  int64_t blocksPerRow = 1; ///< … this; one of them is 1
  int64_t sharedBytes = 0;  ///< dynamic, of a block

  /// Blocks for `rows` rows, all along x.
  int64_t grid(int64_t rows) const {
    return (rows + rowsPerBlock - 1) / rowsPerBlock * blocksPerRow;
  }
};

/// Whether a block of `target` may have so many threads: whole warps.
Status isValidBlock(int64_t threads, const target::Target &target);

/// Blocks of a launch of `blocks` that an SM has at once, where `blocksPerSm`
/// fit and the launch is alone.
int64_t residentBlocks(int64_t blocks, int blocksPerSm,
                       const target::Target &target);

/// Of a family whose blocks may share a row, the schedule for more rows than
/// there are counters: a block for each, which needs none.
template <typename Problem>
auto chooseUncounted(const Problem &problem, const target::Target &target)
    -> decltype(chooseSchedule(problem, target)) {
  std::remove_cvref_t<decltype(*chooseSchedule(problem, target))> schedule;
  schedule.why = "one block a row: there are counters for fewer rows only";
  QOPT_RETURN_IF_ERROR(isValid(problem, schedule, target));
  return schedule;
}

} // namespace qopt::kernels

#endif // QOPT_LIB_KERNELS_LAUNCHSHAPE_H
