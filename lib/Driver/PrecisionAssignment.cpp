// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/PrecisionAssignment.h"
#include "dialects/QOpt/QOptOps.h"
#include "lib/Driver/WeightEvaluator.h"
#include "lib/Quant/Element.h"
#include "lib/Quant/Storage.h"
#include "lib/Quant/assignment/ExactChoice.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include <cassert>
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

int64_t positionBytes(const PlannedCache &cache, const quant::Format &format) {
  int64_t elements = cache.heads * cache.channels;
  int64_t bits = elements * quant::bitsOf(format.element);
  int64_t scaleBits = format.zero == quant::ZeroType::Float ? 32 : 16;
  if (format.groupSize) // of positions or of channels, one of so many each
    bits += llvm::divideCeil(elements, format.groupSize) * scaleBits;
  else if (!format.isFloat())
    bits += cache.heads * scaleBits;
  return llvm::divideCeil(bits, 8);
}

std::vector<PlannedCache> listCaches(ModuleOp module, ModuleOp raised) {
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

/// What the neighbours in size would save or cost.
static std::string reasonFor(const PlannedWeight &weight, size_t chosen) {
  std::string reason;
  const PlannedFormat &own = weight.alternatives[chosen];
  if (chosen > 0) {
    const PlannedFormat &less = weight.alternatives[chosen - 1];
    reason = llvm::formatv("{0} would save {1} bytes and cost {2:F6} KL more",
                           less.format, own.bytes - less.bytes,
                           less.divergence - own.divergence);
  }
  if (chosen + 1 < weight.alternatives.size()) {
    const PlannedFormat &more = weight.alternatives[chosen + 1];
    reason +=
        (reason.empty() ? "" : "; ") +
        std::string(llvm::formatv(
            "{0} would take {1} bytes more and save {2:F6} KL", more.format,
            more.bytes - own.bytes, own.divergence - more.divergence));
  }
  return reason.empty() ? "the only candidate" : reason;
}

/// Options of the weights that have some; the bytes of the others.
static std::pair<std::vector<std::vector<quant::SizedOption>>, int64_t>
optionsOf(const std::vector<PlannedWeight> &weights) {
  std::vector<std::vector<quant::SizedOption>> items;
  int64_t fixedBytes = 0;
  for (const PlannedWeight &weight : weights) {
    if (weight.alternatives.empty()) {
      fixedBytes += weight.chosen.bytes;
      continue;
    }
    auto &options = items.emplace_back();
    for (const PlannedFormat &format : weight.alternatives)
      options.push_back({format.bytes, format.divergence});
  }
  return {std::move(items), fixedBytes};
}

int64_t leastBytes(const std::vector<PlannedWeight> &weights) {
  auto [items, fixedBytes] = optionsOf(weights);
  return fixedBytes + quant::leastBytes(items);
}

int64_t mostBytes(const std::vector<PlannedWeight> &weights) {
  int64_t bytes = 0;
  for (const PlannedWeight &weight : weights)
    bytes += weight.alternatives.empty() ? weight.chosen.bytes
                                         : weight.alternatives.back().bytes;
  return bytes;
}

void chooseFormats(std::vector<PlannedWeight> &weights, int64_t budget) {
  auto [items, fixedBytes] = optionsOf(weights);
  auto choice = quant::chooseWithin(items, budget - fixedBytes);
  assert(choice.ok() && "less than the smallest plan");
  size_t item = 0;
  for (PlannedWeight &weight : weights) {
    if (weight.alternatives.empty())
      continue;
    size_t chosen = (*choice)[item++];
    weight.chosen = weight.alternatives[chosen];
    weight.reason = reasonFor(weight, chosen);
  }
}

} // namespace qopt::driver
