// What formats can be chosen from, and the plan that takes the least of them:
// all that is known of a budget before weights are read.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/QOptOps.h"
#include "lib/Driver/CacheOption.h"
#include "lib/Driver/CacheScores.h"
#include "lib/Driver/HostModels.h"
#include "lib/Driver/PlanBudget.h"
#include "lib/Driver/Quantization.h"
#include "lib/Driver/StageOptions.h"
#include "lib/Quant/Storage.h"
#include "passes/Quantize/FormatOverrides.h"
#include "llvm/ADT/STLExtras.h"
#include <set>

using namespace mlir;

namespace qopt::driver {

Status Quantization::listFixed(ModuleOp raised) {
  nameOptions();
  auto withFormats = quantizedAs(raised, askedFormats(asked));
  if (!withFormats.ok())
    return withFormats.status();
  decided.caches = listCaches(**withFormats, raised, asked.target);
  return Status();
}

StatusOr<OwningOpRef<ModuleOp>> Quantization::listChoices(ModuleOp raised) {
  // First what options fix, then a copy in which all others are quantized.
  auto fixedOnly = quantizedForHost(raised, asked);
  if (!fixedOnly.ok())
    return fixedOnly.status();
  std::set<std::string> fixed;
  for (const PlannedWeight &weight : listWeights(**fixedOnly))
    if (weight.chosen.format != weight.source)
      fixed.insert(weight.name);
  CompileOptions all = asked;
  all.weights = "int8";
  bool hasTable = raised
                      .walk([](ir::WeightUserOpInterface user) {
                        return user.looksUpRows() ? WalkResult::interrupt()
                                                  : WalkResult::advance();
                      })
                      .wasInterrupted();
  if (all.embedding.empty() && hasTable)
    all.embedding = "int8";
  auto reference = quantizedForHost(raised, all);
  if (!reference.ok())
    return reference.status();
  decided.weights = listWeights(**reference);
  for (PlannedWeight &weight : decided.weights)
    if (weight.chosen.format != weight.source && !fixed.count(weight.name))
      weight.chosen = PlannedFormat();
  return reference;
}

std::vector<quant::Format> Quantization::candidates() const {
  std::vector<quant::Format> formats;
  for (const std::string &name : asked.candidates)
    formats.push_back(*quant::parseFormat(name));
  return formats.empty() ? usualCandidates() : formats;
}

Status Quantization::keepNamedCaches(const std::vector<PlannedCache> &scored) {
  // What --kv-format says of a layer is no choice.
  auto overrides =
      passes::FormatOverrides::parseOfCache("--kv-format", asked.cacheFormats);
  if (!overrides.ok())
    return overrides.status();
  for (auto [cache, choices] : llvm::zip(decided.caches, scored))
    if (!overrides->lookup(cache.name))
      cache.alternatives = choices.alternatives;
  return dropUnpaired(decided.caches);
}

/// The candidates whose groups divide a weight's columns, smallest first.
static std::vector<PlannedFormat>
choicesOf(const PlannedWeight &weight,
          const std::vector<quant::Format> &candidates) {
  std::vector<PlannedFormat> choices;
  for (const quant::Format &format : candidates)
    if (weight.columns % quant::groupColumns(format, weight.columns) == 0)
      choices.push_back({quant::spell(format), "",
                         storedBytes(format, weight.rows, weight.columns)});
  llvm::sort(choices, [](const PlannedFormat &a, const PlannedFormat &b) {
    return a.bytes < b.bytes;
  });
  return choices;
}

Status Quantization::chooseSmallest(ModuleOp raised) {
  if (!hasBudget(asked))
    return Status();
  QOPT_RETURN_IF_ERROR(listFixed(raised));
  if (auto reference = listChoices(raised); !reference.ok())
    return reference.status();
  isDecided = true;
  for (PlannedWeight &weight : decided.weights) {
    if (!weight.chosen.format.empty())
      continue;
    weight.alternatives = choicesOf(weight, candidates());
    if (weight.alternatives.empty())
      return Status(StatusCode::Infeasible,
                    "no candidate has groups that divide the " +
                        std::to_string(weight.columns) + " columns of \"" +
                        weight.name + "\"; add one to --candidates, as int8");
  }
  if (choosesCaches(asked)) {
    std::vector<PlannedCache> choices = decided.caches;
    for (PlannedCache &cache : choices)
      for (const quant::CacheFormat &format : fittingFormats(
               cacheCandidates(asked, cache.isValue() ? CachePart::Values
                                                      : CachePart::Keys),
               cache))
        cache.alternatives.push_back(alternativeOf(cache, format, 0));
    QOPT_RETURN_IF_ERROR(keepNamedCaches(choices));
  }
  auto use = cacheUse(raised);
  if (!use.ok())
    return use.status();
  QOPT_RETURN_IF_ERROR(chooseFormats(decided, *use, leastSizes(decided, *use)));
  takeFormats();
  return Status();
}

std::vector<Status>
Quantization::missedBudgets(const CheckSummary &smallest) const {
  if (!hasBudget(asked))
    return {};
  double resident = 0;
  for (const ServingPart &part : smallest.serving)
    resident += double(part.bytes);
  return PlanBudget(asked, *text, CacheUse())
      .missedBy(decided, double(smallest.compilation.artifactBytes), resident);
}

} // namespace qopt::driver
