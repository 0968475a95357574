// What a graph that was made is measured on: the .npz files of --validate, or
// the samples of --calibrate that no algorithm sees.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_VALIDATIONSAMPLES_H
#define QOPT_LIB_DRIVER_VALIDATIONSAMPLES_H

#include "lib/Driver/CalibrationText.h"
#include "lib/Evaluate/GraphEvaluation.h"
#include "qopt/Session.h"
#include "qopt/ValidationSummary.h"

namespace qopt::driver {

struct ValidationSamples {
  std::shared_ptr<const calibrate::CalibrationSamples> all;
  std::vector<int64_t> chosen; ///< of them, in the order of `files`
  std::vector<eval::SampleRange> files;
  std::vector<ValidationText> texts;

  int64_t count() const { return int64_t(chosen.size()); }
  /// Runs a graph on one of the chosen; `session` outlives the result, whose
  /// `this` stays.
  eval::GraphOutputs run(Session &session) const;
};

/// For a raised graph; `calibration` is what --calibrate gave. InvalidArgument
/// for a file that does not serve, and for limits that no output has.
StatusOr<ValidationSamples>
readValidationSamples(mlir::ModuleOp raised, const CompileOptions &options,
                      const std::optional<CalibrationText> &calibration);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_VALIDATIONSAMPLES_H
