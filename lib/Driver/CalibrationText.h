// What --calibrate names: a text, token ids (.npy), the inputs of a graph
// (.npz) or a manifest of several of these (.json).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_CALIBRATIONTEXT_H
#define QOPT_LIB_DRIVER_CALIBRATIONTEXT_H

#include "lib/Calibrate/CalibrationSamples.h"
#include "lib/Calibrate/CalibrationTokens.h"
#include "lib/Driver/Companions.h"
#include "lib/Driver/PrecisionPlan.h"
#include "mlir/IR/BuiltinOps.h"
#include <memory>

namespace qopt::driver {

/// What a model is calibrated on, and what is recorded of it.
struct CalibrationText {
  std::shared_ptr<const calibrate::CalibrationSamples> samples;
  TokenWindows tokens; ///< the same of a decoder, whose samples are windows
  std::vector<std::string> outputs; ///< of a graph, by name
  CalibrationRecord record;

  bool isOfGraph() const { return tokens.count() == 0; }
};

/// The samples of `options.calibrate` for a raised model: of a decoder windows
/// of a text or of token ids, of a graph arrays for its inputs; those of a
/// manifest have a domain for each source. InvalidArgument for what does not
/// serve, and for arrays where the model is a decoder or a text where it is
/// none.
StatusOr<CalibrationText> readCalibrationText(mlir::ModuleOp module,
                                              const CompileOptions &options,
                                              const Companions &companions);

/// What a manifest's sources contribute, for people: a line for each.
std::string spellMix(const CalibrationText &text);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_CALIBRATIONTEXT_H
