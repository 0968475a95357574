// Tuning behind calibration: the codes stay, and the scales of linears and the
// weights of norms ahead of them follow the gradient of what counts, the KL
// divergence of the model's predictions from those of the unquantized one.
// Rounding weights one by one cannot see how their errors add up; this does.
//
//   every step    some windows: forward through the layers, softmax(q) −
//                 softmax(p) at the logits, backward, one step of Adam
//   now and then  the divergence on windows that no step saw decides whether
//                 what there is now is the best so far
//
// What is kept is the best of all, the untuned model included.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_TUNING_H
#define QOPT_LIB_DRIVER_TUNING_H

#include "lib/Driver/CalibrationModel.h"
#include "lib/Driver/PrecisionPlan.h"
#include "lib/Driver/WeightCalibration.h"
#include "qopt/Compiler.h"

namespace qopt::driver {

/// What a tuning of `weights` that is done already has come to. False where it
/// is not.
StatusOr<bool> takeTunedWeights(const CalibrationStore &store, int64_t steps,
                                CalibratedWeights &weights, TuneRecord &record);

/// Makes `steps` steps from `weights`, and leaves there what was best on
/// held-out windows; of these the text must have one. `model` is not quantized
/// yet, and is used up; `predictions` is what its last layer reads. Goes on
/// where another run was ended: all is in the model's store.
Status tuneWeights(CalibrationModel &model,
                   const calibrate::TokenStates &predictions, int64_t steps,
                   const Progress &progress, CalibratedWeights &weights,
                   TuneRecord &record);

/// Multiplies the norms of a function, at any stage ahead of fusion.
Status scaleNorms(mlir::ModuleOp module, const CalibratedWeights &weights);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_TUNING_H
