// One layer at a time: what goes in is kept for all sequences, the layer runs
// as the model has it to be observed, its weights are quantized, and it runs
// again to make what the next layer reads.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/Calibration.h"
#include "dialects/QOpt/QOptOps.h"
#include "lib/Driver/Observations.h"
#include "lib/Driver/WeightCalibration.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/STLExtras.h"
#include <map>

using namespace mlir;

namespace qopt::driver {

/// An entry of a store that has all codes.
static const char *const doneEntry = "codes";

static std::string codesEntry(ir::QuantizeWeightOp op) {
  return "codes-" + weightKey(op);
}

static StatusOr<std::optional<RoundedWeight>>
readCodes(const CalibrationStore &store, ir::QuantizeWeightOp op) {
  auto bytes = store.get(codesEntry(op));
  if (!bytes.ok())
    return bytes.status();
  auto rounded = fromBytes(*bytes, op);
  if (!rounded.ok())
    return rounded.status();
  return std::optional<RoundedWeight>(std::move(*rounded));
}

/// Notes the codes of a weight, and in the plan what they cost.
static void keep(ir::QuantizeWeightOp op, RoundedWeight rounded,
                 PrecisionPlan &plan, CalibratedWeights &weights) {
  static const char *const corrected = "; mean kept by its bias";
  if (PlannedWeight *planned = plan.find(weightNameOf(op.getSource()))) {
    planned->chosen.algorithm = rounded.algorithm;
    if (planned->alternatives.empty()) // else it has a better estimate
      planned->chosen.divergence = rounded.divergence;
    if (!rounded.biasCorrection.empty() &&
        !StringRef(planned->reason).ends_with(corrected))
      planned->reason += corrected;
  }
  weights.codes.emplace(weightKey(op), std::move(rounded.weight));
  if (!rounded.biasCorrection.empty())
    weights.biases[weightNameOf(op.getSource())] =
        std::move(rounded.biasCorrection);
}

/// The codes that the store has of weights below `root`.
static Status readAll(Operation *root, const CalibrationStore &store,
                      PrecisionPlan &plan, CalibratedWeights &weights) {
  for (ir::QuantizeWeightOp op : quantizedWeights(root)) {
    if (weights.codes.count(weightKey(op)) || !store.has(codesEntry(op)))
      continue;
    auto rounded = readCodes(store, op);
    if (!rounded.ok())
      return rounded.status();
    keep(op, std::move(**rounded), plan, weights);
  }
  return Status();
}

namespace {

class Calibrator {
public:
  Calibrator(CalibrationModel &model, const Curvature &curvature,
             const CalibrationOptions &options, const Progress &progress,
             PrecisionPlan &plan, CalibratedWeights &weights)
      : model(model), curvature(curvature), options(options),
        progress(progress), plan(plan), weights(weights) {}

  Status run() {
    for (size_t i = 0; i < model.segments().size(); ++i) {
      if (progress)
        progress("quantizing", double(i) / double(model.segments().size()));
      QOPT_RETURN_IF_ERROR(calibrateSegment(i));
    }
    return model.store().put(doneEntry, std::string());
  }

private:
  bool isOriginal() const { return options.inputs == LayerInputs::Original; }
  /// What the layers ahead make as the file has them is also what gradients
  /// begin with (ModelGradients.cpp).
  std::string hiddenOf(size_t layer) const {
    return (isOriginal() ? "input-" : "hidden-") + std::to_string(layer);
  }
  /// Whether what a layer, or one behind it, reads is there already.
  bool hasHiddenFrom(size_t layer) const {
    for (; layer < model.segments().size(); ++layer)
      if (model.store().has(hiddenOf(layer)))
        return true;
    return false;
  }

  Status calibrateSegment(size_t index) {
    const CalibrationStore &store = model.store();
    func::FuncOp segment = model.segments()[index];
    std::string mark = "layer-" + std::to_string(index);
    if (store.has(mark)) {
      QOPT_RETURN_IF_ERROR(readAll(segment, store, plan, weights));
    } else {
      auto observed = Observations::take(model, index, hidden, curvature);
      if (!observed.ok())
        return observed.status();
      QOPT_RETURN_IF_ERROR(quantizeAll(segment, *observed));
      QOPT_RETURN_IF_ERROR(store.put(mark, std::string()));
    }
    if (index + 1 == model.segments().size())
      return Status(); // nobody reads what the last one makes
    std::string name = hiddenOf(index + 1);
    if (!store.has(name) && hasHiddenFrom(index + 2))
      return Status();
    auto next = advance(index, name);
    if (!next.ok())
      return next.status();
    hidden = std::move(*next);
    if (!isOriginal())
      store.erase(hiddenOf(index));
    return Status();
  }

  StatusOr<calibrate::TokenStates> advance(size_t index,
                                           const std::string &name) {
    func::FuncOp segment = model.segments()[index];
    if (!isOriginal()) {
      // Under names of its own: the model's are to be the same for every run.
      replaceWeights(segment, weights.codes, "layer ");
      QOPT_RETURN_IF_ERROR(correctBiases(segment, weights));
      return model.advance(segment, hidden, name);
    }
    auto original = model.segmentAs(index, SegmentForm::Original);
    if (!original.ok())
      return original.status();
    return model.advance(**original, hidden, name);
  }

  Status quantizeAll(func::FuncOp segment, const Observations &observed) {
    for (ir::QuantizeWeightOp op : quantizedWeights(segment)) {
      std::string name = weightKey(op);
      if (name.empty() || weights.codes.count(name) ||
          op.getType().getFormat().isFloat()) // as it is written
        continue;
      auto rounded = roundOrRead(op, observed);
      if (!rounded.ok())
        return rounded.status();
      if (*rounded)
        keep(op, std::move(**rounded), plan, weights);
    }
    return Status();
  }

  StatusOr<std::optional<RoundedWeight>>
  roundOrRead(ir::QuantizeWeightOp op, const Observations &observed) {
    const CalibrationStore &store = model.store();
    if (store.has(codesEntry(op)))
      return readCodes(store, op);
    PlannedWeight *planned = plan.find(weightNameOf(op.getSource()));
    bool isPlanned =
        options.usePlanned && planned && !planned->chosen.algorithm.empty();
    auto rounder = WeightRounder::create(
        op, observed,
        {isPlanned ? planned->chosen.algorithm : options.algorithm,
         model.threads(), keptRefinements});
    if (!rounder.ok())
      return rounder.status();
    if (!*rounder)
      return std::optional<RoundedWeight>();
    auto rounded = (*rounder)->round(op.getType().getFormat());
    if (!rounded.ok())
      return rounded.status();
    QOPT_RETURN_IF_ERROR(store.put(codesEntry(op), toBytes(*rounded)));
    return std::optional<RoundedWeight>(std::move(*rounded));
  }

  CalibrationModel &model;
  const Curvature &curvature;
  const CalibrationOptions &options;
  const Progress &progress;
  PrecisionPlan &plan;
  CalibratedWeights &weights;
  calibrate::TokenStates hidden; ///< what the segment reads
};

} // namespace

StatusOr<bool> takeStoredWeights(ModuleOp module, const CalibrationStore &store,
                                 PrecisionPlan &plan,
                                 CalibratedWeights &weights) {
  if (!store.has(doneEntry))
    return false;
  QOPT_RETURN_IF_ERROR(readAll(module, store, plan, weights));
  return true;
}

StatusOr<LayerInputs> parseLayerInputs(const std::string &word) {
  if (word.empty() || word == "quantized")
    return LayerInputs::Quantized;
  if (word == "original")
    return LayerInputs::Original;
  return Status(StatusCode::InvalidArgument,
                "--calibrate-inputs is \"" + word +
                    "\"; expected quantized or original");
}

Status calibrateWeights(CalibrationModel &model, const Curvature &curvature,
                        const CalibrationOptions &options,
                        const Progress &progress, PrecisionPlan &plan,
                        CalibratedWeights &weights) {
  return Calibrator(model, curvature, options, progress, plan, weights).run();
}

} // namespace qopt::driver
