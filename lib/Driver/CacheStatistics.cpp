// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/CacheStatistics.h"
#include "dialects/QOpt/QOptOps.h"
#include "lib/Calibrate/VectorStatistics.h"
#include "lib/Driver/ChannelScaling.h"
#include "lib/Driver/Quantization.h"
#include "lib/Quant/Format.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;

namespace qopt::driver {

using calibrate::HeadOrder;
using calibrate::VectorStatistics;

/// A channel that is larger than this many times the median of its head.
constexpr double outlierTimes = 6;
/// Of each cache at most so many are listed.
constexpr size_t mostListed = 8;

namespace {

/// Of one attention.
struct AttentionStatistics {
  VectorStatistics key, keyBeforeRotary, value;
};

/// A result of a layer's function, and where its values are added to.
struct Observer {
  unsigned result;
  VectorStatistics AttentionStatistics::*part;
  size_t attention;
  HeadOrder order;
};

class Measurement {
public:
  Measurement(CalibrationModel &model, const Progress &progress)
      : model(model), progress(progress) {}

  StatusOr<std::vector<AttentionStatistics>> run() {
    calibrate::TokenStates hidden;
    size_t count = model.segments().size();
    for (size_t layer = 0; layer < count; ++layer) {
      if (progress)
        progress("measuring keys and values", double(layer) / double(count));
      auto next = runLayer(layer, hidden);
      if (!next.ok())
        return next.status();
      hidden = std::move(*next);
      model.store().erase(hiddenOf(layer));
    }
    return std::move(found);
  }

private:
  static std::string hiddenOf(size_t layer) {
    return "unobserved-" + std::to_string(layer);
  }
  std::vector<Observer> observersOf(func::FuncOp function) const;
  StatusOr<calibrate::TokenStates>
  runLayer(size_t layer, const calibrate::TokenStates &hidden);

  CalibrationModel &model;
  const Progress &progress;
  std::vector<AttentionStatistics> found;
};

} // namespace

std::vector<Observer> Measurement::observersOf(func::FuncOp function) const {
  std::vector<Observer> observers;
  for (unsigned i = 0; i < function.getNumResults(); ++i) {
    auto observation = function.getResultAttrOfType<ir::ObservationAttr>(
        i, "qopt.observation");
    if (!observation)
      continue;
    auto number = cast<IntegerAttr>(observation.getOf()[0]).getInt();
    bool isBefore = observation.getOf().size() > 1;
    observers.push_back(
        {i,
         observation.getWhat() == ir::Observed::Value
             ? &AttentionStatistics::value
         : isBefore ? &AttentionStatistics::keyBeforeRotary
                    : &AttentionStatistics::key,
         found.size() + size_t(number),
         isBefore ? HeadOrder::TokensFirst : HeadOrder::HeadsFirst});
  }
  return observers;
}

StatusOr<calibrate::TokenStates>
Measurement::runLayer(size_t layer, const calibrate::TokenStates &hidden) {
  bool isLast = layer + 1 == model.segments().size();
  auto function = model.segmentAs(layer, SegmentForm::Attention);
  if (!function.ok())
    return function.status();
  std::vector<Observer> observers = observersOf(**function);
  if (!observers.empty())
    found.resize(observers.back().attention + 1);
  auto next = isLast
                  ? StatusOr<calibrate::TokenStates>(calibrate::TokenStates())
                  : model.store().newStates(hiddenOf(layer + 1));
  // Nothing is behind the last attention.
  if (!next.ok() || (isLast && observers.empty()))
    return next;
  QOPT_RETURN_IF_ERROR(model.run(
      **function, {{model.hidden(), &hidden}},
      [&](int64_t sequence, std::vector<Tensor> &results) {
        for (const Observer &observer : observers) {
          const Tensor &x = results[observer.result];
          const std::vector<int64_t> &shape = x.shape();
          bool first = observer.order == HeadOrder::HeadsFirst;
          int64_t heads = shape[shape.size() - (first ? 3 : 2)];
          VectorStatistics &sums = found[observer.attention].*observer.part;
          if (sums.isEmpty())
            sums = VectorStatistics(heads, shape.back());
          sums.add(x.as<float>(), x.elements() / heads / shape.back(),
                   observer.order);
        }
        return isLast ? Status()
                      : next->write(sequence, results.front().view());
      }));
  if (!isLast)
    QOPT_RETURN_IF_ERROR(next->finish());
  return next;
}

/// An entry of a store, and one that says that all are there.
static std::string entryOf(const std::string &cache, const char *what) {
  return "statistics-" + cache + what;
}
static const char *const allEntry = "cache-statistics";
static const char *const beforeRotary = "-before-rotary";

static VectorRecord recordOf(const VectorStatistics &statistics) {
  VectorRecord record;
  record.largest = asWritten(statistics.largest());
  record.effective = asWritten(statistics.effective());
  std::vector<calibrate::OutlierChannel> outliers =
      statistics.outliers(outlierTimes);
  record.outliers = int64_t(outliers.size());
  if (outliers.size() > mostListed)
    outliers.resize(mostListed);
  for (const calibrate::OutlierChannel &outlier : outliers)
    record.channels.push_back(
        {outlier.head, outlier.channel, asWritten(outlier.times)});
  return record;
}

static Status takeStored(const CalibrationStore &store, PlannedCache &cache) {
  for (auto [what, place] : {std::pair("", &cache.statistics),
                             {beforeRotary, &cache.beforeRotary}}) {
    if (!store.has(entryOf(cache.name, what)))
      continue;
    auto values = store.getFloats(entryOf(cache.name, what));
    if (!values.ok())
      return values.status();
    *place = recordOf(VectorStatistics::fromValues(*values));
  }
  return Status();
}

StatusOr<bool> takeCacheStatistics(const CalibrationStore &store,
                                   std::vector<PlannedCache> &caches) {
  if (!store.has(allEntry))
    return false;
  for (PlannedCache &cache : caches)
    QOPT_RETURN_IF_ERROR(takeStored(store, cache));
  return true;
}

Status measureCaches(CalibrationModel &model, const Progress &progress,
                     std::vector<PlannedCache> &caches) {
  const CalibrationStore &store = model.store();
  auto measured = Measurement(model, progress).run();
  if (!measured.ok())
    return measured.status();
  // Layers that share a cache, or have two attentions: whose is unknown.
  bool isKnown = 2 * measured->size() == caches.size();
  for (size_t i = 0; isKnown && i < caches.size(); ++i) {
    const AttentionStatistics &own = (*measured)[i / 2];
    const std::string &name = caches[i].name;
    bool isValue = caches[i].isValue();
    QOPT_RETURN_IF_ERROR(store.put(entryOf(name, ""),
                                   (isValue ? own.value : own.key).toValues()));
    if (!isValue && !own.keyBeforeRotary.isEmpty())
      QOPT_RETURN_IF_ERROR(store.put(entryOf(name, beforeRotary),
                                     own.keyBeforeRotary.toValues()));
  }
  QOPT_RETURN_IF_ERROR(store.put(allEntry, std::string()));
  return takeCacheStatistics(store, caches).status();
}

std::string warnOfOutliers(const PlannedCache &cache) {
  auto format = quant::parseFormat(cache.chosen.format);
  if (!cache.statistics || cache.statistics->channels.empty() || !format.ok() ||
      format->isFloat() || format->groupSize)
    return "";
  const VectorRecord &record = *cache.statistics;
  const VectorRecord::Channel &first = record.channels.front();
  return llvm::formatv(
             "{0} is {1}, with one scale a position, and {2} of its channels "
             "are more than {3:F0} times the median of their head (head {4}, "
             "channel {5}: {6:F1} times); {7}",
             cache.name, cache.chosen.format, record.outliers, outlierTimes,
             first.head, first.channel, first.times,
             cache.isValue()
                 ? "groups of channels (int4_asym_g32_zf) have a scale each"
                 : "keys in groups of positions (int4_asym_g32_zf) have a "
                   "scale for each channel")
      .str();
}

/// Where keys or values are quantized, what they are like.
Status Quantization::observeCaches(ModuleOp raised, const Progress &progress) {
  bool isWanted = llvm::any_of(decided.caches, [](const PlannedCache &cache) {
    auto format = quant::parseFormat(cache.chosen.format);
    return format.ok() && !format->isFloat();
  });
  if (!isWanted)
    return Status();
  auto isThere = takeCacheStatistics(*store, decided.caches);
  if (!isThere.ok())
    return isThere.status();
  if (!*isThere) {
    auto reference = quantizedForHost(raised, asked);
    if (!reference.ok())
      return reference.status();
    calibrate::SelectedSamples samples(
        *text->samples, samplesForScales(text->samples->count()));
    auto model = CalibrationModel::create(**reference, samples, asked, *store);
    if (!model.ok())
      return model.status();
    QOPT_RETURN_IF_ERROR(measureCaches(**model, progress, decided.caches));
  }
  for (const PlannedCache &cache : decided.caches)
    if (std::string warning = warnOfOutliers(cache); notice && !warning.empty())
      notice(warning);
  return Status();
}

} // namespace qopt::driver
