// What `--kv` says: formats of keys and values, and which positions are kept in
// f16 beside them. "int8", "int4_g32,f16",
// "int4_asym_g32_zf,int4_asym_g32_zf,recent=32,first=16,before_rotary".
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_CACHEOPTION_H
#define QOPT_LIB_DRIVER_CACHEOPTION_H

#include "qopt/CompileOptions.h"
#include "qopt/Status.h"

#include "lib/Calibrate/CacheProbe.h"
#include "lib/Driver/PrecisionPlan.h"
#include "lib/Quant/CacheFormat.h"

#include <cstdint>
#include <string>
#include <vector>

namespace qopt::driver {

struct CacheOption {
  std::string keys, values;  ///< spelt formats; empty: as the model has them
  int64_t recent = 0;        ///< latest positions in f16
  int64_t first = 0;         ///< first positions in f16
  bool beforeRotary = false; ///< keys ahead of their rotation
};

/// Fails where no cache, or none of the target, is so; nor with a format of
/// --kv-format.
StatusOr<CacheOption> parseCacheOption(const CompileOptions &options);
/// Of --kv alone.
StatusOr<CacheOption> parseCacheOfAll(const CompileOptions &options);

/// An entry of --kv-format that gives keys or values of a layer, beside --kv of
/// `options`, what a plan has chosen.
std::string cacheOverride(const CompileOptions &options,
                          const PlannedCache &cache);

using calibrate::CachePart;

/// The candidates of --kv-candidates, or those that a budget on memory chooses
/// from where there are none.
std::vector<std::string> namedCacheCandidates(const CompileOptions &options);

/// Those of keys or of values that the target has kernels for.
std::vector<quant::CacheFormat> cacheCandidates(const CompileOptions &options,
                                                CachePart part);

/// Fails where keys, or values, of the target are not stored so.
Status checkCacheFormat(const CompileOptions &options, CachePart part,
                        const quant::CacheFormat &format);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_CACHEOPTION_H
