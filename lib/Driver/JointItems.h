// What is chosen together: weights of one launch, keys and values of a layer
// that keep the same positions in f16, and a tensor with all weights that it is
// multiplied by. Codes of a tensor need weights that are multiplied
// by such, so of these an option is a format of the tensor and one of each
// weight that reads it; of all such combinations only those are options that no
// other beats in bytes, time and cost, which leaves the choice exact.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_JOINTITEMS_H
#define QOPT_LIB_DRIVER_JOINTITEMS_H

#include "lib/Driver/PrecisionAssignment.h"
#include "lib/Quant/assignment/ExactChoice.h"

namespace qopt::driver {

struct JointItem {
  bool isCache = false;
  std::vector<size_t> entries; ///< places in a plan's entries
  std::vector<quant::SizedOption> options;
  /// Of each option an alternative of each entry; 0 where an entry has none.
  std::vector<std::vector<size_t>> picks;
};

/// Items of weights and tensors, then those of caches.
std::vector<JointItem> jointItems(llvm::ArrayRef<PlanEntry> entries,
                                  const CacheUse &use, Objective objective);

/// Gives the entries of an item what an option has, with its neighbours' costs
/// as the reason.
void take(const JointItem &item, size_t option,
          llvm::MutableArrayRef<PlanEntry> entries);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_JOINTITEMS_H
