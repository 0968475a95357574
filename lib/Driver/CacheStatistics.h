// What the keys and values of a decoder are like, measured on a text: their
// largest values, and channels that are many times as large as the others of
// their head. Where the channels of a position share a scale, such a channel
// leaves the others few codes.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_CACHESTATISTICS_H
#define QOPT_LIB_DRIVER_CACHESTATISTICS_H

#include "lib/Driver/CalibrationModel.h"
#include "lib/Driver/PrecisionPlan.h"
#include "qopt/Compiler.h"
#include <string>
#include <vector>

namespace qopt::driver {

/// Fills in the statistics of keys and values that a store has. False where it
/// has none.
StatusOr<bool> takeCacheStatistics(const CalibrationStore &store,
                                   std::vector<PlannedCache> &caches);

/// Measures them by running `model`, a decoder's, and puts them into its store.
/// Where the model's attentions are not one for each layer of the cache, none.
Status measureCaches(CalibrationModel &model, const Progress &progress,
                     std::vector<PlannedCache> &caches);

/// Of keys or values with one scale for a position, and channels to which that
/// matters, a line for people that says so; empty where there are none.
std::string warnOfOutliers(const PlannedCache &cache);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_CACHESTATISTICS_H
