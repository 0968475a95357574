// Quantizes weights by what they do: the model runs on text, layer by layer,
// and each weight is rounded under the second moment of what its linear reads,
// behind layers that are quantized already. The passes of passes/Calibrate make
// the functions that run, lib/Calibrate takes the statistics, lib/Quant rounds;
// here is the order of it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_CALIBRATION_H
#define QOPT_LIB_DRIVER_CALIBRATION_H

#include "lib/Driver/CalibrationModel.h"
#include "lib/Driver/Curvature.h"
#include "lib/Driver/PrecisionPlan.h"
#include "lib/Driver/WeightCalibration.h"
#include "mlir/IR/BuiltinOps.h"
#include "qopt/Compiler.h"

namespace qopt::driver {

/// The codes of a calibration of `module` that is done already, and what
/// `plan` has of it. False where it is not.
StatusOr<bool> takeStoredWeights(mlir::ModuleOp module,
                                 const CalibrationStore &store,
                                 PrecisionPlan &plan,
                                 CalibratedWeights &weights);

/// What layers read while their weights are rounded.
enum class LayerInputs {
  Quantized, ///< what the layers ahead make with their codes
  Original,  ///< what they make as the file has them
};

/// That of CompileOptions::calibrateInputs; InvalidArgument for another word.
StatusOr<LayerInputs> parseLayerInputs(const std::string &word);

struct CalibrationOptions {
  std::string algorithm;   ///< of weights for which the plan has none
  bool usePlanned = false; ///< the plan's algorithms are asked for
  LayerInputs inputs = LayerInputs::Quantized;
};

/// Chooses the codes of each `quantize_weight` of a linear or embedding, and
/// writes to the plan which algorithm gave them and what they are predicted to
/// cost. `model` is a decoder as the stage "quantize" leaves it for the host.
Status calibrateWeights(CalibrationModel &model, const Curvature &curvature,
                        const CalibrationOptions &options,
                        const Progress &progress, PrecisionPlan &plan,
                        CalibratedWeights &weights);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_CALIBRATION_H
