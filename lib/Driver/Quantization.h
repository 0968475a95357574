// The decisions of the stage quantize that need more than its passes: which
// format each weight gets (from a plan, or under a budget), and which codes
// (from a text). The order of them, and what they share.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_QUANTIZATION_H
#define QOPT_LIB_DRIVER_QUANTIZATION_H

#include "lib/Driver/Calibration.h"
#include "lib/Driver/CalibrationText.h"
#include "lib/Driver/Companions.h"
#include "lib/Driver/Curvature.h"
#include "lib/Driver/PrecisionAssignment.h"
#include "lib/Driver/StoreFolder.h"
#include "lib/Driver/WeightRounder.h"
#include "mlir/IR/BuiltinOps.h"
#include "passes/Pipelines.h"
#include "qopt/Compiler.h"
#include <optional>

namespace qopt::driver {

class PlanBudget;

/// InvalidArgument for options of quantization that contradict each other.
Status checkQuantizationOptions(const CompileOptions &options);

/// Whether scales of channels are searched on the text of calibration: for
/// activations of codes with one scale a row or tensor, and for --algorithm
/// awq; not under a budget, where formats are chosen by the model as it is.
bool scalesChannels(const CompileOptions &options);

/// Adds the tensors that linears of a module, as the stage quantize has left
/// it, read with weights that none of `tensors` names, in the formats that they
/// have there.
void listTensors(mlir::ModuleOp module, const CompileOptions &options,
                 std::vector<PlannedActivation> &tensors);

/// What a plan calls the target.
std::string targetName(const CompileOptions &options);

/// A plan that is an entry of a store.
StatusOr<PrecisionPlan> storedPlan(const CalibrationStore &store,
                                   const char *entry);

class Quantization {
public:
  /// Options and companions stay as long as this. Errors of passes are the
  /// context's diagnostics, and InvalidArgument. `notice`, where there is one,
  /// receives what sources a calibration has, and what memory it takes before
  /// it does.
  Quantization(const CompileOptions &options, const Companions &companions,
               const Notice &notice)
      : asked(options), companions(companions), notice(notice) {
    asked.algorithm = algorithmOf(options);
  }

  /// Takes the formats of a plan for `raised`, a model as the stage raise
  /// leaves it, and reads the text of calibration. InvalidArgument for a plan
  /// of another model.
  Status open(mlir::ModuleOp raised);

  /// The text, where there is one.
  const std::optional<CalibrationText> &calibrationText() const { return text; }

  /// Folds scales of channels into `raised`, and notes the scale of activations
  /// that have one for all tokens, where such are asked for beside a text
  /// (ChannelScaling.h).
  Status scale(mlir::ModuleOp raised, const Progress &progress);

  /// Decides on the formats of `raised` where a budget is given; Infeasible for
  /// one that no plan meets.
  Status choose(mlir::ModuleOp raised, const Progress &progress);

  /// Instead, where no weight is read: of the formats that a budget chooses
  /// from, each weight and cache gets the smallest.
  Status chooseSmallest(mlir::ModuleOp raised);

  /// Behind chooseSmallest: Infeasible, with the nearest that could be met, for
  /// each budget that the smallest plan, which `smallest` is of, does not meet.
  std::vector<Status> missedBudgets(const CheckSummary &smallest) const;

  /// The options of the rest of the compilation: those that were asked for, and
  /// the formats that were chosen.
  const CompileOptions &options() const { return asked; }

  /// Replaces the weights of `modules`, one model as the stage quantize has
  /// left it for one target or two, by codes that were calibrated on a text,
  /// where one is given; `raised` is the same model ahead of that stage.
  Status calibrate(mlir::ArrayRef<mlir::ModuleOp> modules,
                   mlir::ModuleOp raised, const Progress &progress);

  /// Lists what `module`, as the stage quantize has left it, has the formats
  /// of; part of calibrate.
  void list(mlir::ModuleOp module, mlir::ModuleOp raised);

  /// What was decided; complete when calibrate is done.
  const PrecisionPlan &plan() const { return decided; }

private:
  Status takePlan(mlir::ModuleOp raised);
  Status takeAlgorithm();
  Status assign(mlir::ModuleOp raised, const Progress &progress);
  void nameOptions();
  /// The caches, and `decided` without weights.
  Status listFixed(mlir::ModuleOp raised);
  /// The weights, without a format those that no option fixes; a copy of
  /// `raised` in which these are quantized.
  StatusOr<mlir::OwningOpRef<mlir::ModuleOp>>
  listChoices(mlir::ModuleOp raised);
  static StatusOr<mlir::OwningOpRef<mlir::ModuleOp>>
  quantizedAs(mlir::ModuleOp raised, const passes::AskedFormats &formats);
  std::vector<quant::Format> candidates() const;
  Status keepNamedCaches(const std::vector<PlannedCache> &scored);
  Status score(mlir::ModuleOp raised, const CalibrationStore &codes,
               const Progress &progress);
  Status exchange(mlir::ModuleOp raised, const CalibrationStore &codes,
                  const PlanBudget &budget, const Progress &progress);
  Status scoreCaches(mlir::ModuleOp raised, const CalibrationStore &scores,
                     const Progress &progress);
  Status scoreActivations(mlir::ModuleOp raised, const CalibrationStore &scores,
                          const Progress &progress);
  StatusOr<CacheUse> cacheUse(mlir::ModuleOp raised) const;
  Status readText(mlir::ModuleOp raised);
  Status openStore(mlir::ModuleOp raised);
  Status observeCaches(mlir::ModuleOp raised, const Progress &progress);
  StatusOr<std::unique_ptr<CalibrationModel>> cut(mlir::ModuleOp reference);
  /// The layers of what quantizedForHost makes.
  StatusOr<std::unique_ptr<CalibrationModel>>
  layersOf(mlir::ModuleOp raised, const CompileOptions &options);
  Status measure(CalibrationModel &model, ModelGradients &gradients,
                 const Progress &progress);
  StatusOr<mlir::OwningOpRef<mlir::ModuleOp>>
  quantizedForHost(mlir::ModuleOp raised, const CompileOptions &options) const;
  Status findScales(mlir::ModuleOp raised, const CalibrationStore &scales,
                    const Progress &progress);
  Status chooseCodes(mlir::ModuleOp raised, const Progress &progress,
                     CalibratedWeights &weights);
  Status tune(mlir::ModuleOp raised, const Progress &progress,
              CalibratedWeights &weights);
  void takeFormats();
  void forgetSteps() const;

  CompileOptions asked;
  const Companions &companions;
  Notice notice;
  bool isMemoryTold = false;
  PrecisionPlan decided;
  bool isDecided = false; ///< `decided` has the formats
  std::optional<CalibrationText> text;
  std::optional<StoreFolder> folder;
  std::optional<CalibrationStore> store;
  std::optional<Curvature> curvature;
};

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_QUANTIZATION_H
