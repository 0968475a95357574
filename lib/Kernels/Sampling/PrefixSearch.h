// The search of sampling: the shortest prefix of candidates, in the order of
// their keys, whose measures reach a goal. Sampling.h explains it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_SAMPLING_PREFIXSEARCH_H
#define QOPT_LIB_KERNELS_SAMPLING_PREFIXSEARCH_H

#include "lib/Kernels/Builder/Wide.h"

namespace qopt::kernels::sampling {

class PrefixSearch {
public:
  /// Calls `add` with keys and measures that this thread has of candidates:
  /// of all in the first round, at least their highest byte, later of those
  /// whose higher bytes are as in `known`, or of more. The measure is computed
  /// where it is needed.
  using Measure = llvm::function_ref<Long()>;
  using Add = llvm::function_ref<void(Int key, Measure measure)>;
  using Visit = llvm::function_ref<void(Flag first, Int known, Add add)>;
  using Goal = llvm::function_ref<Long(Long total)>;

  struct Result {
    Int key;   ///< of the last candidates of the prefix
    Long rest; ///< measure that these must have for the goal
  };

  /// Reserves shared memory.
  explicit PrefixSearch(Kernel &kernel);

  /// All threads of the block search together. Keys have `bytes` bytes that
  /// may differ; the goal is computed of the sum of all measures and lies in
  /// 1 … that sum. Later rounds may find less of a byte's measure than the
  /// first: then the prefix ends with what they find.
  Result find(int bytes, Visit visit, Goal goal);

private:
  Kernel::Values round(Int level, int bytes, Kernel::Values carried,
                       Visit visit, Goal goal);
  Long scanBins(Flag first, Long goal, Goal makeGoal);

  Kernel &k;
  Int bins, found;
};

} // namespace qopt::kernels::sampling

#endif // QOPT_LIB_KERNELS_SAMPLING_PREFIXSEARCH_H
