// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/PrecisionAssignment.h"
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
#include <cmath>
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

std::vector<PlannedCache> listCaches(ModuleOp module, ModuleOp raised,
                                     TargetDevice target) {
  std::vector<PlannedCache> caches;
  ir::KVCacheType type = cacheOf(module), source = cacheOf(raised);
  if (!type)
    return caches;
  auto add = [&](int64_t layer, const char *what, const quant::Format &format,
                 const quant::Format &own) {
    PlannedCache cache;
    cache.name = llvm::formatv("cache.{0}.{1}", layer, what);
    cache.heads = type.getKvHeads();
    cache.channels = type.getHeadSize();
    cache.row = cache.channels;
    cache.padsAsGpu = target == TargetDevice::Cuda;
    cache.row = rowOf(cache, format);
    cache.latest = type.getRecent() + type.getFirst();
    cache.chosen.format = quant::spell(format);
    cache.chosen.bytes = positionBytes(cache, format);
    cache.reason = format == own ? "as the model has it" : "asked for";
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

/// What the neighbours in size would save or cost.
static std::string reasonFor(const std::vector<PlannedFormat> &alternatives,
                             size_t chosen) {
  std::string reason;
  const PlannedFormat &own = alternatives[chosen];
  if (chosen > 0) {
    const PlannedFormat &less = alternatives[chosen - 1];
    reason =
        llvm::formatv("{0} would save {1} bytes{2} and cost {3:F6} KL more",
                      less.format, own.bytes - less.bytes, spellTime(less, own),
                      less.divergence - own.divergence);
  }
  if (chosen + 1 < alternatives.size()) {
    const PlannedFormat &more = alternatives[chosen + 1];
    reason += (reason.empty() ? "" : "; ") +
              std::string(llvm::formatv(
                  "{0} would take {1} bytes{2} more and save {3:F6} KL",
                  more.format, more.bytes - own.bytes, spellTime(own, more),
                  own.divergence - more.divergence));
  }
  return reason.empty() ? "the only candidate" : reason;
}

void PlanEntry::choose(size_t alternative) {
  chosen = alternatives[alternative];
  reason = reasonFor(alternatives, alternative);
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
  int64_t halves = cache->latest;
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

/// The least or the most of each size; of what is fixed where there is no
/// alternative.
template <typename Compare>
static PlanSizes extremesOf(const PrecisionPlan &plan, const CacheUse &use,
                            Compare isBefore) {
  auto pick = [&](const PlanEntry &entry, auto sizeOf) {
    if (entry.alternatives.empty())
      return sizeOf(entry.chosen);
    std::vector<int64_t> sizes;
    for (const PlannedFormat &format : entry.alternatives)
      sizes.push_back(sizeOf(format));
    return *std::min_element(sizes.begin(), sizes.end(), isBefore);
  };
  // Whatever a tensor's format is.
  return sumOf(plan, use, pick, [&](const PlannedFormat &format) {
    int64_t time = PlanEntry::time(format);
    for (auto &[reads, seconds] : format.secondsBy)
      time = std::min(time, picoseconds(seconds), isBefore);
    return time;
  });
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
