// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/CacheScores.h"
#include "dialects/QOpt/QOptOps.h"
#include "lib/Calibrate/CacheProbe.h"
#include "lib/Driver/PrecisionAssignment.h"
#include "lib/Quant/VectorCodes.h"
#include "llvm/ADT/STLExtras.h"
#include <map>
#include <tuple>

using namespace mlir;

namespace qopt::driver {

using calibrate::CachePart;
using calibrate::CacheProbe;

std::vector<quant::Format>
fittingFormats(const std::vector<quant::Format> &candidates,
               const PlannedCache &cache) {
  std::vector<quant::Format> formats;
  for (const quant::Format &format : candidates) {
    bool isGrouped = cache.isValue() && format.groupSize;
    if (!isGrouped || cache.channels % format.groupSize == 0)
      formats.push_back(format);
  }
  return formats;
}

/// The number of the first attention of each layer's function.
static std::vector<int64_t> firstAttentions(CalibrationModel &model) {
  std::vector<int64_t> first{0};
  for (func::FuncOp segment : model.segments()) {
    first.push_back(first.back());
    segment.walk([&](ir::AttentionOp) { ++first.back(); });
  }
  return first;
}

Status scoreCaches(CalibrationModel &model, ModelGradients &gradients,
                   const CacheScoring &options, const Progress &progress,
                   std::vector<PlannedCache> &caches) {
  std::vector<int64_t> first = firstAttentions(model);
  if (2 * first.back() != int64_t(caches.size()))
    return Status(StatusCode::Unsupported,
                  "the formats of the cache cannot be chosen: " +
                      std::to_string(first.back()) + " attentions read " +
                      std::to_string(caches.size() / 2) +
                      " layers of it; give them as --kv");
  std::vector<CacheProbe> probes;
  std::vector<std::vector<quant::Format>> formats;
  for (const PlannedCache &cache : caches) {
    formats.push_back(
        fittingFormats(cache.isValue() ? options.values : options.keys, cache));
    probes.emplace_back(cache.isValue() ? CachePart::Values : CachePart::Keys,
                        formats.back());
  }
  auto add = [&](CacheProbe &probe, const Tensor &values,
                 const Tensor &gradient) { // [1, heads, tokens, channels]
    llvm::ArrayRef<int64_t> shape = values.shape();
    probe.add({values.as<float>(), shape[1], shape[2], shape[3]},
              gradient.as<float>(), model.threads());
  };
  int64_t step = std::max<int64_t>(
      1, model.samples().count() / std::max<int64_t>(1, options.sequences));
  size_t done = 0;
  QOPT_RETURN_IF_ERROR(gradients.backward(
      options.seed, step,
      {.isDone = [](size_t) { return false; },
       .enter =
           [&](size_t) {
             if (progress)
               progress("scoring formats of the cache",
                        double(done++) / double(model.segments().size()));
             return Status();
           },
       .leave = [](size_t) { return Status(); },
       .observe = [](int64_t, const ObservedWeights &) {},
       .attend =
           [&](size_t layer, int64_t attention, const ObservedAttention &seen) {
             size_t at = size_t(2 * (first[layer] + attention));
             add(probes[at], *seen.key, *seen.keyGradient);
             add(probes[at + 1], *seen.value, *seen.valueGradient);
           }}));
  for (auto [cache, probe, scored] : llvm::zip(caches, probes, formats)) {
    std::vector<double> divergences = probe.divergences();
    for (auto [format, divergence] : llvm::zip(scored, divergences))
      cache.alternatives.push_back({quant::spell(format), "",
                                    positionBytes(cache, format),
                                    asWritten(divergence)});
    llvm::sort(
        cache.alternatives, [](const PlannedFormat &a, const PlannedFormat &b) {
          return std::tie(a.bytes, a.format) < std::tie(b.bytes, b.format);
        });
  }
  return Status();
}

} // namespace qopt::driver
