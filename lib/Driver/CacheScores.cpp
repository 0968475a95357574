// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/CacheScores.h"
#include "dialects/QOpt/QOptOps.h"
#include "lib/Calibrate/CacheProbe.h"
#include "lib/Driver/PrecisionAssignment.h"
#include "lib/Quant/VectorCodes.h"
#include "llvm/ADT/STLExtras.h"
#include <map>
#include <set>
#include <tuple>

using namespace mlir;

namespace qopt::driver {

using calibrate::CachePart;
using calibrate::CacheProbe;

std::vector<quant::CacheFormat>
fittingFormats(const std::vector<quant::CacheFormat> &candidates,
               const PlannedCache &cache) {
  std::vector<quant::CacheFormat> formats;
  for (const quant::CacheFormat &candidate : candidates) {
    int64_t group = candidate.format.groupSize;
    if (!cache.isValue() || !group || cache.channels % group == 0)
      formats.push_back(candidate);
  }
  return formats;
}

PlannedFormat alternativeOf(const PlannedCache &cache,
                            const quant::CacheFormat &format,
                            double divergence) {
  PlannedFormat alternative{quant::spell(format.format), "",
                            positionBytes(cache, format.format), divergence};
  alternative.recent = format.recent.value_or(0);
  alternative.first = format.first.value_or(0);
  return alternative;
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

/// From positions to the queries that read their codes, of all candidates.
static std::vector<int64_t> distancesOf(const CacheScoring &options) {
  std::set<int64_t> distances;
  for (const auto &candidates : {options.keys, options.values})
    for (const quant::CacheFormat &candidate : candidates)
      if (candidate.recent.value_or(0))
        distances.insert(*candidate.recent);
  return {distances.begin(), distances.end()};
}

using Far = ObservedAttention::Far;

/// Adds what one attention reads of a sequence, [1, heads, tokens, channels].
static void add(CacheProbe &probe, const Tensor &values, const Tensor &gradient,
                const std::map<int64_t, Far> &all, const Tensor *Far::*part,
                unsigned threads) {
  llvm::ArrayRef<int64_t> shape = values.shape();
  probe.add(
      {values.as<float>(), shape[1], shape[2], shape[3]},
      [&](int64_t recent) {
        return (recent ? *(all.at(recent).*part) : gradient).as<float>();
      },
      threads);
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
  std::vector<std::vector<quant::CacheFormat>> formats;
  for (const PlannedCache &cache : caches) {
    formats.push_back(
        fittingFormats(cache.isValue() ? options.values : options.keys, cache));
    probes.emplace_back(cache.isValue() ? CachePart::Values : CachePart::Keys,
                        formats.back());
  }
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
             add(probes[at], *seen.key, *seen.keyGradient, seen.far, &Far::key,
                 model.threads());
             add(probes[at + 1], *seen.value, *seen.valueGradient, seen.far,
                 &Far::value, model.threads());
           },
       .distances = distancesOf(options)}));
  for (auto [cache, probe, scored] : llvm::zip(caches, probes, formats)) {
    std::vector<double> divergences = probe.divergences();
    for (auto [format, divergence] : llvm::zip(scored, divergences))
      cache.alternatives.push_back(
          alternativeOf(cache, format, asWritten(divergence)));
    llvm::sort(cache.alternatives,
               [](const PlannedFormat &a, const PlannedFormat &b) {
                 return std::tuple(a.bytes, a.positions(), a.spell()) <
                        std::tuple(b.bytes, b.positions(), b.spell());
               });
  }
  return Status();
}

} // namespace qopt::driver
