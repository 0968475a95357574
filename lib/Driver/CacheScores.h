// What each candidate format of the keys and values of each layer is predicted
// to cost, as KL per token (lib/Calibrate/CacheProbe.h).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_CACHESCORES_H
#define QOPT_LIB_DRIVER_CACHESCORES_H

#include "lib/Driver/ModelGradients.h"
#include "lib/Driver/PrecisionPlan.h"
#include "lib/Quant/CacheFormat.h"

namespace qopt::driver {

struct CacheScoring {
  std::vector<quant::CacheFormat> keys, values; ///< candidates
  uint64_t seed = 2000;   ///< of the labels; another one than the weights'
  int64_t sequences = 32; ///< at most so many, evenly spread
};

/// Candidates that a head of a cache's channels can be stored in.
std::vector<quant::CacheFormat>
fittingFormats(const std::vector<quant::CacheFormat> &candidates,
               const PlannedCache &cache);

/// A candidate as an alternative of a plan.
PlannedFormat alternativeOf(const PlannedCache &cache,
                            const quant::CacheFormat &format,
                            double divergence);

/// Fills the alternatives of caches: those candidates whose groups divide a
/// head. Unsupported where layers attend to the cache of another, which no
/// gradient tells apart.
Status scoreCaches(CalibrationModel &model, ModelGradients &gradients,
                   const CacheScoring &options, const Progress &progress,
                   std::vector<PlannedCache> &caches);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_CACHESCORES_H
