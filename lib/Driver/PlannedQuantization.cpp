// What a plan decides of a quantization: whether it is the model's, and the
// options that it stands for.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/CacheOption.h"
#include "lib/Driver/Quantization.h"
#include "lib/Driver/WeightCalibration.h"
#include "llvm/Support/FormatVariadic.h"
#include <map>
#include <set>

using namespace mlir;

namespace qopt::driver {

static Status refuse(const std::string &why) {
  return Status(StatusCode::InvalidArgument, why);
}

/// What the file has and what the plan says, where they are of two models.
static Status compareWeights(const std::vector<PlannedWeight> &model,
                             const PrecisionPlan &plan) {
  std::vector<std::string> differences;
  std::set<std::string> known;
  for (const PlannedWeight &weight : model) {
    known.insert(weight.name);
    const PlannedWeight *planned = plan.find(weight.name);
    if (!planned)
      differences.push_back("it has no weight \"" + weight.name + "\"");
    else if (planned->rows != weight.rows || planned->columns != weight.columns)
      differences.push_back(llvm::formatv(
          "\"{0}\" is {1} x {2} there and {3} x {4} in the model", weight.name,
          planned->rows, planned->columns, weight.rows, weight.columns));
  }
  for (const PlannedWeight &planned : plan.weights)
    if (!known.count(planned.name))
      differences.push_back("the model has no weight \"" + planned.name + "\"");
  if (differences.empty())
    return Status();
  std::string more =
      differences.size() > 1
          ? llvm::formatv(" ({0} such differences)", differences.size()).str()
          : "";
  return refuse("the plan is for another model: " + differences.front() + more);
}

/// Keys and values of a layer keep the same positions.
static Status comparePositions(const PrecisionPlan &plan) {
  std::map<StringRef, const PlannedCache *> keys;
  for (const PlannedCache &cache : plan.caches) {
    StringRef layer = StringRef(cache.name).rsplit('.').first;
    if (!cache.isValue()) {
      keys[layer] = &cache;
      continue;
    }
    auto key = keys.find(layer);
    if (key == keys.end())
      continue;
    const PlannedFormat &one = key->second->chosen, &other = cache.chosen;
    if (one.recent != other.recent || one.first != other.first)
      return refuse(llvm::formatv(
          "the plan keeps {0} latest and {1} first positions of {2} and {3} "
          "and {4} of {5}, which lie side by side; expected the same numbers",
          one.recent, one.first, key->second->name, other.recent, other.first,
          cache.name));
  }
  return Status();
}

/// A value that both the plan and an option have.
static Status takeOption(const char *option, const std::string &planned,
                         std::string &given) {
  if (!given.empty() && given != planned)
    return refuse(std::string(option) + " is \"" + given +
                  "\", but the plan says \"" + planned +
                  "\"; leave it out, or edit the plan");
  given = planned;
  return Status();
}

Status Quantization::takePlan(ModuleOp raised) {
  auto plan = readPlan(asked.plan);
  if (!plan.ok())
    return plan.status();
  if (plan->target != targetName(asked))
    return refuse("the plan is for --target " + plan->target + ", not " +
                  targetName(asked));
  QOPT_RETURN_IF_ERROR(compareWeights(listWeights(raised), *plan));
  QOPT_RETURN_IF_ERROR(comparePositions(*plan));
  QOPT_RETURN_IF_ERROR(
      takeOption("--activations", plan->activations, asked.activations));
  QOPT_RETURN_IF_ERROR(takeOption("--kv", plan->cache, asked.cache));
  decided = std::move(*plan);
  isDecided = true;
  if (asked.tune == 0)
    asked.tune = decided.tuning.steps;
  if (asked.calibrateInputs.empty())
    asked.calibrateInputs = decided.calibration.inputs;
  takeFormats();
  QOPT_RETURN_IF_ERROR(parseCacheOption(asked).status());
  if (!asked.calibrate.empty())
    return readText(raised);
  if (!decided.calibration.text.empty()) {
    asked.calibrate = decided.calibration.text;
    asked.calibrateTokens = decided.calibration.tokens;
    asked.algorithm = decided.calibration.algorithm;
    QOPT_RETURN_IF_ERROR(readText(raised));
    if (text->record.sha256 != decided.calibration.sha256)
      return refuse("the text \"" + asked.calibrate +
                    "\" is another one than the plan was made with (SHA-256 " +
                    text->record.sha256 + ", there " +
                    decided.calibration.sha256 +
                    "); name a text with --calibrate");
    return Status();
  }
  return takeAlgorithm();
}

/// That of the weights of a plan without a text.
Status Quantization::takeAlgorithm() {
  const PlannedWeight *first = nullptr;
  for (const PlannedWeight &weight : decided.weights) {
    auto format = quant::parseFormat(weight.chosen.format);
    if (weight.chosen.format == weight.source || !format || format->isFloat())
      continue;
    if (!first)
      first = &weight;
    if (weight.chosen.algorithm != first->chosen.algorithm)
      return refuse("the plan has no text, but several algorithms: \"" +
                    first->chosen.algorithm + "\" of \"" + first->name +
                    "\" and \"" + weight.chosen.algorithm + "\" of \"" +
                    weight.name + "\"; expected one for all");
  }
  if (!first)
    return Status();
  asked.algorithm = first->chosen.algorithm;
  if (needsText(asked.algorithm))
    return refuse("the plan has codes by " + asked.algorithm +
                  ", but no text; name one with --calibrate");
  return Status();
}

void Quantization::takeFormats() {
  for (const PlannedWeight &weight : decided.weights)
    if (weight.chosen.format != weight.source &&
        (!asked.plan.empty() || !weight.alternatives.empty()))
      asked.formats.push_back(weight.name + "=" + weight.chosen.format);
  for (const PlannedActivation &tensor : decided.tensors)
    // One scale for all tokens is measured for all linears.
    if ((!asked.plan.empty() || !tensor.alternatives.empty()) &&
        !StringRef(tensor.chosen.format).ends_with("_tensor"))
      for (const std::string &weight : tensor.weights)
        asked.activationFormats.push_back(weight + "=" + tensor.chosen.format);
  for (const PlannedCache &cache : decided.caches)
    if (!asked.plan.empty() || !cache.alternatives.empty())
      asked.cacheFormats.push_back(cacheOverride(asked, cache));
}

} // namespace qopt::driver
