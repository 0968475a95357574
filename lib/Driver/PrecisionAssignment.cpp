// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/PrecisionAssignment.h"
#include "dialects/QOpt/KeyRotation.h"
#include "dialects/QOpt/QOptOps.h"
#include "lib/Driver/JointItems.h"
#include "lib/Driver/WeightEvaluator.h"
#include "lib/Quant/Element.h"
#include "lib/Quant/Storage.h"
#include "lib/Quant/assignment/ExactChoice.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "runtime/cuda/KvPageLayout.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include <array>
#include <cmath>
#include <map>
#include <set>

using namespace mlir;

namespace qopt::driver {

std::vector<quant::Format> usualCandidates() {
  using enum quant::ElementType;
  auto twoLevels = [](quant::ElementType element, int64_t group) {
    quant::Format format = quant::groupFormat(element, group);
    format.scale = quant::ScaleType::Code6;
    return format;
  };
  quant::Format int8 = *quant::parseFormat("int8");
  // Of formats with about the same bits the one with the least error.
  return {twoLevels(Int2, 32),    quant::groupFormat(Lut3, 128),
          twoLevels(Lut3, 32),    quant::groupFormat(Lut4, 128),
          twoLevels(Lut4, 32),    twoLevels(Int5, 32),
          twoLevels(Int6, 32),    int8,
          quant::floatFormat(F16)};
}

int64_t storedBytes(const quant::Format &format, int64_t rows,
                    int64_t columns) {
  return quant::codeBytes(format, rows, columns) +
         quant::scaleBytes(format, rows, columns) +
         quant::zeroBytes(format, rows, columns);
}

void fixFormat(PlannedWeight &weight, const std::string &format,
               std::string reason) {
  weight.chosen.format = format;
  weight.chosen.bytes =
      storedBytes(*quant::parseFormat(format), weight.rows, weight.columns);
  weight.reason = std::move(reason);
}

std::vector<PlannedWeight> listWeights(ModuleOp module) {
  std::vector<PlannedWeight> weights;
  std::set<std::string> seen;
  module.walk([&](ir::WeightUserOpInterface user) {
    Value value = user.getWeightOperand().get();
    auto type = cast<ir::WeightType>(value.getType());
    auto quantize = value.getDefiningOp<ir::QuantizeWeightOp>();
    if (quantize)
      value = quantize.getSource();
    PlannedWeight weight;
    weight.name = weightNameOf(value);
    if (!seen.insert(weight.name).second)
      return;
    weight.rows = type.getRows();
    weight.columns = type.getColumns();
    weight.source =
        quant::spell(cast<ir::WeightType>(value.getType()).getFormat());
    fixFormat(weight, quant::spell(type.getFormat()),
              quantize ? "asked for" : "as the file has it");
    if (quantize && quantize.getAlgorithm() != ir::Algorithm::RoundToNearest)
      weight.chosen.algorithm = ir::stringifyAlgorithm(quantize.getAlgorithm());
    weights.push_back(std::move(weight));
  });
  return weights;
}

/// The type of a decoder's cache; null in a graph.
static ir::KVCacheType cacheOf(ModuleOp module) {
  ir::KVCacheType cache;
  for (auto function : module.getOps<func::FuncOp>())
    for (Type type : function.getArgumentTypes())
      if (auto found = dyn_cast<ir::KVCacheType>(type))
        cache = found;
  return cache;
}

/// Channels that a position of a head takes in a format.
static int64_t rowOf(const PlannedCache &cache, const quant::Format &format) {
  return cache.padsAsGpu
             ? cuda::KvPageLayout::rowOf(cache.channels, format.element)
             : cache.row;
}

int64_t positionBytes(const PlannedCache &cache, const quant::Format &format) {
  int64_t elements = cache.heads * rowOf(cache, format);
  int64_t bits = elements * quant::bitsOf(format.element);
  if (!format.groupSize) // a head's are whole bytes
    bits = cache.heads * int64_t(llvm::alignTo(bits / cache.heads, 8));
  int64_t scaleBits = format.zero == quant::ZeroType::Float ? 32 : 16;
  if (format.groupSize) // of positions or of channels, one of so many each
    bits += llvm::divideCeil(cache.isValue() ? cache.heads * cache.channels
                                             : elements,
                             format.groupSize) *
            scaleBits;
  else if (!format.isFloat())
    bits += cache.heads * scaleBits;
  return llvm::divideCeil(bits, 8);
}

/// Layers whose keys attention rotates as it reads them.
static std::set<int64_t> rotatingLayers(ModuleOp module) {
  std::set<int64_t> layers;
  module.walk([&](ir::CachedAttentionOp attention) {
    if (ir::keyRotationOf(attention))
      layers.insert(int64_t(attention.getLayer()));
  });
  return layers;
}

std::vector<PlannedCache> listCaches(ModuleOp module, ModuleOp raised,
                                     TargetDevice target) {
  std::vector<PlannedCache> caches;
  ir::KVCacheType type = cacheOf(module), source = cacheOf(raised);
  if (!type)
    return caches;
  std::set<int64_t> beforeRotary = rotatingLayers(module);
  auto add = [&](int64_t layer, const char *what, const quant::Format &format,
                 const quant::Format &own) {
    PlannedCache cache;
    cache.name = llvm::formatv("cache.{0}.{1}", layer, what);
    cache.heads = type.getKvHeads();
    cache.channels = type.getHeadSize();
    cache.row = cache.channels;
    cache.padsAsGpu = target == TargetDevice::Cuda;
    cache.row = rowOf(cache, format);
    cache.chosen.format = quant::spell(format);
    cache.chosen.bytes = positionBytes(cache, format);
    cache.chosen.recent = type.recentOf(layer);
    cache.chosen.first = type.firstOf(layer);
    cache.isBeforeRotary = !cache.isValue() && beforeRotary.count(layer);
    bool isOwn = format == own && !cache.chosen.positions();
    cache.reason =
        isOwn && !cache.isBeforeRotary ? "as the model has it" : "asked for";
    caches.push_back(std::move(cache));
  };
  for (int64_t layer = 0; layer < type.getLayers(); ++layer) {
    add(layer, "key", type.keyOf(layer), source.keyOf(layer));
    add(layer, "value", type.valueOf(layer), source.valueOf(layer));
  }
  return caches;
}

/// What more time a step takes with `more` than with `less`, where it is known.
static std::string spellTime(const PlannedFormat &less,
                             const PlannedFormat &more) {
  if (!less.seconds || !more.seconds)
    return "";
  return llvm::formatv(" ({0:F3} us of a step)",
                       (*more.seconds - *less.seconds) * 1e6);
}

bool keepAlike(const PlannedFormat &one, const PlannedFormat &other) {
  return one.recent == other.recent && one.first == other.first;
}

/// What the neighbours in size would save or cost.
static std::string reasonFor(const PlanEntry &entry, size_t chosen) {
  std::string reason;
  const std::vector<PlannedFormat> &alternatives = entry.alternatives;
  const PlannedFormat &own = alternatives[chosen];
  if (auto place = entry.neighbour(chosen, -1)) {
    const PlannedFormat &less = alternatives[*place];
    reason =
        llvm::formatv("{0} would save {1} bytes{2} and cost {3:F6} KL more",
                      less.spell(), own.bytes - less.bytes,
                      spellTime(less, own), less.divergence - own.divergence);
  }
  if (auto place = entry.neighbour(chosen, 1)) {
    const PlannedFormat &more = alternatives[*place];
    reason += (reason.empty() ? "" : "; ") +
              std::string(llvm::formatv(
                  "{0} would take {1} bytes{2} more and save {3:F6} KL",
                  more.spell(), more.bytes - own.bytes, spellTime(own, more),
                  own.divergence - more.divergence));
  }
  if (!reason.empty())
    return reason;
  return alternatives.size() == 1 ? "the only candidate"
                                  : "the only candidate with these positions";
}

void PlanEntry::choose(size_t alternative) {
  chosen = alternatives[alternative];
  reason = reasonFor(*this, alternative);
}

size_t PlanEntry::place() const {
  auto found = llvm::find_if(alternatives, [&](const PlannedFormat &format) {
    return format.format == chosen.format && keepAlike(format, chosen);
  });
  return found == alternatives.end() ? 0 : size_t(found - alternatives.begin());
}

std::optional<size_t> PlanEntry::neighbour(size_t place, int up) const {
  for (size_t next = place + size_t(up); next < alternatives.size();
       next += size_t(up)) // below 0 is above all
    if (keepAlike(alternatives[next], alternatives[place]))
      return next;
  return std::nullopt;
}

std::vector<PlannedFormat> formatsOf(const PlanEntry &entry) {
  return entry.alternatives.empty() ? std::vector{entry.chosen}
                                    : entry.alternatives;
}

/// Whether all that the entries could be keeps the same positions.
static bool keepOnlyAlike(const PlanEntry &one, const PlanEntry &other) {
  PlannedFormat first = formatsOf(one).front();
  auto isAlike = [&](const PlannedFormat &f) { return keepAlike(f, first); };
  return llvm::all_of(formatsOf(one), isAlike) &&
         llvm::all_of(formatsOf(other), isAlike);
}

std::vector<std::vector<size_t>> cacheUnits(llvm::ArrayRef<PlanEntry> entries) {
  std::vector<std::vector<size_t>> units;
  std::map<llvm::StringRef, size_t> layers; ///< place of its unit
  for (auto [i, entry] : llvm::enumerate(entries)) {
    if (!entry.cache)
      continue;
    llvm::StringRef layer = llvm::StringRef(entry.name).rsplit('.').first;
    auto [known, isNew] = layers.try_emplace(layer, units.size());
    if (!isNew && !keepOnlyAlike(entries[units[known->second].front()], entry))
      units[known->second].push_back(i);
    else
      units.push_back({i});
  }
  return units;
}

std::vector<std::vector<size_t>> cachePicks(llvm::ArrayRef<PlanEntry> entries,
                                            llvm::ArrayRef<size_t> unit) {
  std::vector<std::vector<size_t>> picks;
  std::vector<PlannedFormat> first = formatsOf(entries[unit.front()]);
  for (size_t i = 0; i < first.size(); ++i) {
    if (unit.size() == 1) {
      picks.push_back({i});
      continue;
    }
    for (auto [j, other] : llvm::enumerate(formatsOf(entries[unit[1]])))
      if (keepAlike(first[i], other))
        picks.push_back({i, j});
  }
  return picks;
}

Status dropUnpaired(std::vector<PlannedCache> &caches) {
  PrecisionPlan plan;
  std::swap(plan.caches, caches);
  std::vector<PlanEntry> entries = entriesOf(plan);
  Status status;
  for (const std::vector<size_t> &unit : cacheUnits(entries)) {
    if (unit.size() == 1)
      continue;
    std::array<std::set<size_t>, 2> left;
    for (const std::vector<size_t> &pick : cachePicks(entries, unit))
      for (size_t i : {0, 1})
        left[i].insert(pick[i]);
    if (left[0].empty() && status.ok())
      status = Status(StatusCode::Infeasible,
                      "no candidates for \"" + entries[unit[0]].name +
                          "\" and \"" + entries[unit[1]].name +
                          "\" keep the same latest and first positions, as "
                          "keys and values of a layer do; add some to "
                          "--kv-candidates");
    for (size_t i : {0, 1}) {
      std::vector<PlannedFormat> paired;
      for (auto [place, format] :
           llvm::enumerate(entries[unit[i]].alternatives))
        if (left[i].count(place))
          paired.push_back(format);
      entries[unit[i]].alternatives = std::move(paired);
    }
  }
  std::swap(plan.caches, caches);
  return status;
}

int64_t PlanEntry::bytes(const PlannedFormat &format,
                         const CacheUse &use) const {
  if (tensor)
    return 0;
  if (!cache)
    return format.bytes;
  int64_t bytes = format.bytes * use.positions;
  // What each sequence has in its slot, and one slot that no sequence has: its
  // latest and first positions with 16 bits, or the keys of a group that is not
  // full, which wait so.
  quant::Format parsed = *quant::parseFormat(format.format);
  int64_t halves = format.positions();
  if (halves)
    parsed = quant::floatFormat(quant::ElementType::F16);
  else if (!cache->isValue())
    halves = parsed.groupSize;
  return bytes + (use.sequences + 1) * halves * cache->heads *
                     rowOf(*cache, parsed) * 2;
}

static int64_t picoseconds(double seconds) {
  return std::llround(seconds * 1e12);
}

int64_t PlanEntry::time(const PlannedFormat &format) {
  return picoseconds(format.seconds.value_or(0));
}

std::vector<PlanEntry> entriesOf(PrecisionPlan &plan) {
  std::vector<PlanEntry> entries;
  for (PlannedWeight &weight : plan.weights)
    entries.push_back({.name = weight.name,
                       .chosen = weight.chosen,
                       .reason = weight.reason,
                       .alternatives = weight.alternatives,
                       .launch = weight.launch});
  for (PlannedActivation &tensor : plan.tensors)
    entries.push_back({tensor.name, tensor.chosen, tensor.reason,
                       tensor.alternatives, nullptr, &tensor});
  for (PlannedCache &cache : plan.caches)
    entries.push_back(
        {cache.name, cache.chosen, cache.reason, cache.alternatives, &cache});
  return entries;
}

/// The sum over entries of what `pick` says of each size of an entry.
static PlanSizes sumOf(
    const PrecisionPlan &plan, const CacheUse &use,
    llvm::function_ref<int64_t(
        const PlanEntry &, llvm::function_ref<int64_t(const PlannedFormat &)>)>
        pick,
    llvm::function_ref<int64_t(const PlannedFormat &)> timeOf =
        PlanEntry::time) {
  PlanSizes sum;
  // They are only read.
  for (const PlanEntry &entry : entriesOf(const_cast<PrecisionPlan &>(plan))) {
    int64_t bytes = pick(entry, [&](const PlannedFormat &format) {
      return entry.bytes(format, use);
    });
    sum.all += bytes;
    if (!entry.cache)
      sum.weights += bytes;
    sum.time += pick(entry, timeOf);
  }
  return sum;
}

PlanSizes sizesOf(const PrecisionPlan &plan, const CacheUse &use) {
  return sumOf(plan, use, [](const PlanEntry &entry, auto sizeOf) {
    return sizeOf(entry.chosen);
  });
}

/// The first by `isBefore` of what `sizeOf` says of each choice of a unit of
/// caches.
static int64_t
extremeOf(llvm::ArrayRef<PlanEntry> entries, llvm::ArrayRef<size_t> unit,
          llvm::function_ref<bool(int64_t, int64_t)> isBefore,
          llvm::function_ref<int64_t(const PlanEntry &, const PlannedFormat &)>
              sizeOf) {
  std::optional<int64_t> extreme;
  for (const std::vector<size_t> &pick : cachePicks(entries, unit)) {
    int64_t sum = 0;
    for (auto [place, of] : llvm::zip_equal(pick, unit))
      sum += sizeOf(entries[of], formatsOf(entries[of])[place]);
    if (!extreme || isBefore(sum, *extreme))
      extreme = sum;
  }
  return *extreme; // dropUnpaired has left one
}

/// The least or the most of each size; of what is fixed where there is no
/// alternative.
template <typename Compare>
static PlanSizes extremesOf(const PrecisionPlan &plan, const CacheUse &use,
                            Compare isBefore) {
  auto pick = [&](const PlanEntry &entry, auto sizeOf) {
    if (entry.cache) // below
      return int64_t(0);
    std::vector<int64_t> sizes;
    for (const PlannedFormat &format : formatsOf(entry))
      sizes.push_back(sizeOf(format));
    return *std::min_element(sizes.begin(), sizes.end(), isBefore);
  };
  // Whatever a tensor's format is.
  PlanSizes sum = sumOf(plan, use, pick, [&](const PlannedFormat &format) {
    int64_t time = PlanEntry::time(format);
    for (auto &[reads, seconds] : format.secondsBy)
      time = std::min(time, picoseconds(seconds), isBefore);
    return time;
  });
  // They are only read.
  std::vector<PlanEntry> entries = entriesOf(const_cast<PrecisionPlan &>(plan));
  for (const std::vector<size_t> &unit : cacheUnits(entries)) {
    sum.all += extremeOf(entries, unit, isBefore,
                         [&](const PlanEntry &of, const PlannedFormat &format) {
                           return of.bytes(format, use);
                         });
    sum.time += extremeOf(entries, unit, isBefore,
                          [](const PlanEntry &, const PlannedFormat &format) {
                            return PlanEntry::time(format);
                          });
  }
  return sum;
}

PlanSizes leastSizes(const PrecisionPlan &plan, const CacheUse &use) {
  return extremesOf(plan, use, std::less<>());
}

PlanSizes mostSizes(const PrecisionPlan &plan, const CacheUse &use) {
  return extremesOf(plan, use, std::greater<>());
}

Status chooseFormats(PrecisionPlan &plan, const CacheUse &use,
                     const PlanSizes &bounds, Objective objective) {
  std::vector<PlanEntry> entries = entriesOf(plan);
  std::vector<JointItem> items = jointItems(entries, use, objective);
  std::vector<std::vector<quant::SizedOption>> options;
  size_t weights = 0; // caches are behind them
  for (const JointItem &item : items) {
    weights += !item.isCache;
    options.push_back(item.options);
  }
  auto choice = quant::chooseWithin(
      options, {{weights, bounds.weights}, {items.size(), bounds.all}},
      bounds.time);
  if (!choice.ok())
    return choice.status();
  for (auto [item, chosen] : llvm::zip(items, *choice))
    take(item, chosen, entries);
  return Status();
}

} // namespace qopt::driver
