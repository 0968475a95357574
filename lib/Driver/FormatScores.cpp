// One layer after the other, from the last to the first, as gradients arrive.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/FormatScores.h"
#include "dialects/QOpt/QOptOps.h"
#include "lib/Calibrate/ErrorProbe.h"
#include "lib/Driver/Observations.h"
#include "lib/Driver/PlanMoves.h"
#include "lib/Driver/PrecisionAssignment.h"
#include "lib/Driver/WeightCalibration.h"
#include <tuple>

using namespace mlir;

namespace qopt::driver {

namespace {

/// The errors of some formats of a weight, while gradients say what they do.
struct ProbedWeight {
  calibrate::ErrorProbe probe;
  std::vector<double> factored; ///< the same errors by the curvature's factors
};

class Scoring {
public:
  Scoring(CalibrationModel &model, ModelGradients &gradients,
          const Curvature &curvature, const ScoringOptions &options,
          const Progress &progress, std::vector<PlannedWeight> &weights)
      : model(model), gradients(gradients), curvature(curvature),
        options(options), progress(progress), weights(weights) {}

  Status run() {
    // Of a layer that was scored gradients are computed again: they cost little
    // beside rounding, and a weight of two layers is not done with one.
    QOPT_RETURN_IF_ERROR(gradients.backward(
        options.seed, 1,
        {.isDone = [](size_t) { return false; },
         .enter = [&](size_t layer) { return enter(layer); },
         .leave = [&](size_t layer) { return finish(layer == 0); },
         .observe =
             [&](int64_t sequence, const ObservedWeights &observed) {
               addSequence(sequence, observed);
             }}));
    for (PlannedWeight &weight : weights)
      if (weight.chosen.format.empty() && weight.alternatives.empty())
        fixFormat(weight, weight.source,
                  "as the file has it: no gradient reaches it");
    return Status();
  }

private:
  PlannedWeight *find(const std::string &name) {
    auto found = llvm::find_if(
        weights, [&](const PlannedWeight &w) { return w.name == name; });
    return found == weights.end() ? nullptr : &*found;
  }
  Status enter(size_t layer);
  Status score(const WeightRounder &rounder, PlannedWeight &weight);
  void addSequence(int64_t sequence, const ObservedWeights &observed);
  Status finish(bool all);

  CalibrationModel &model;
  ModelGradients &gradients;
  const Curvature &curvature;
  const ScoringOptions &options;
  const Progress &progress;
  std::vector<PlannedWeight> &weights;
  std::map<std::string, ProbedWeight> probed;
};

} // namespace

/// Where the scores of a weight are, when they are final.
static std::string entryOf(const std::string &weight) {
  return "scores-" + weight;
}

Status Scoring::enter(size_t layer) {
  if (progress)
    progress("scoring formats",
             1 - double(layer + 1) / double(model.segments().size()));
  auto observed =
      Observations::take(model, layer, gradients.input(layer), curvature);
  if (!observed.ok())
    return observed.status();
  func::FuncOp segment = model.segments()[layer];
  for (ir::QuantizeWeightOp op : quantizedWeights(segment)) {
    PlannedWeight *weight = find(weightNameOf(op.getSource()));
    if (!weight || !weight->chosen.format.empty() ||
        !weight->alternatives.empty())
      continue;
    if (model.store().has(entryOf(weight->name))) {
      auto text = model.store().get(entryOf(weight->name));
      if (!text.ok())
        return text.status();
      auto scored = parseWeight(*text);
      if (!scored.ok())
        return scored.status();
      weight->alternatives = std::move(scored->alternatives);
      continue;
    }
    auto rounder = WeightRounder::create(
        op, *observed, {options.algorithm, model.threads(), scoredRefinements});
    if (!rounder.ok())
      return rounder.status();
    if (*rounder)
      QOPT_RETURN_IF_ERROR(score(**rounder, *weight));
  }
  return Status();
}

/// Errors of the smallest formats are the largest, and enough of them.
static constexpr size_t probedFormats = 3;

Status Scoring::score(const WeightRounder &rounder, PlannedWeight &weight) {
  ProbedWeight &errors = probed[weight.name];
  for (const quant::Format &format : options.candidates) {
    if (weight.columns % quant::groupColumns(format, weight.columns))
      continue;
    auto rounded = rounder.round(format);
    if (!rounded.ok())
      return rounded.status();
    if (options.codes && !format.isFloat())
      QOPT_RETURN_IF_ERROR(options.codes->put(
          codesEntry(weight.name, quant::spell(format)), toBytes(*rounded)));
    weight.alternatives.push_back(
        {quant::spell(format), rounded->algorithm,
         storedBytes(format, weight.rows, weight.columns),
         rounded->divergence});
    if (errors.factored.size() == probedFormats || rounded->divergence <= 0)
      continue;
    errors.factored.push_back(rounded->divergence);
    errors.probe.addError(rounder.errorOf(*rounded).data(), weight.rows,
                          weight.columns);
  }
  if (weight.alternatives.empty())
    return Status(StatusCode::Infeasible,
                  "no candidate fits the weight \"" + weight.name +
                      "\": the groups of none divide its " +
                      std::to_string(weight.columns) +
                      " columns; add int8 to --candidates");
  llvm::sort(weight.alternatives,
             [](const PlannedFormat &a, const PlannedFormat &b) {
               return std::tie(a.bytes, a.format) < std::tie(b.bytes, b.format);
             });
  return Status();
}

void Scoring::addSequence(int64_t sequence, const ObservedWeights &observed) {
  for (auto &[name, tensors] : observed) {
    auto found = probed.find(name);
    if (found == probed.end() || !tensors.gradient)
      continue;
    calibrate::ErrorProbe &probe = found->second.probe;
    const float *g = tensors.gradient->as<float>();
    if (tensors.input)
      probe.addProduct(sequence, tensors.input->as<float>(), g,
                       tensors.input->shape()[0], model.threads());
    if (tensors.ids)
      probe.addLookup(sequence,
                      lookedUpRows(*tensors.ids, find(name)->rows).data(), g,
                      tensors.ids->elements());
  }
}

/// Scales the scores of what no layer to come reads, and forgets the errors.
Status Scoring::finish(bool all) {
  for (auto entry = probed.begin(); entry != probed.end();) {
    auto &[name, errors] = *entry;
    if (!all && curvature.hasLookup(name)) {
      ++entry;
      continue;
    }
    std::vector<double> measured =
        errors.probe.divergences(gradients.termsOfLoss());
    double factor = 0;
    for (size_t i = 0; i < measured.size(); ++i)
      factor += measured[i] / errors.factored[i] / double(measured.size());
    PlannedWeight &weight = *find(name);
    for (PlannedFormat &format : weight.alternatives)
      format.divergence =
          asWritten(format.divergence * (factor > 0 ? factor : 1));
    QOPT_RETURN_IF_ERROR(model.store().put(entryOf(name), toJson(weight)));
    entry = probed.erase(entry);
  }
  return Status();
}

Status scoreFormats(CalibrationModel &model, ModelGradients &gradients,
                    const Curvature &curvature, const ScoringOptions &options,
                    const Progress &progress,
                    std::vector<PlannedWeight> &weights) {
  return Scoring(model, gradients, curvature, options, progress, weights).run();
}

} // namespace qopt::driver
