// What the model that was made is measured on: the texts of --validate, or the
// part of --calibrate that no algorithm sees.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_VALIDATIONTEXTS_H
#define QOPT_LIB_DRIVER_VALIDATIONTEXTS_H

#include "lib/Driver/CalibrationText.h"
#include "lib/Tokens/NamedText.h"
#include "qopt/ValidationSummary.h"

namespace qopt::driver {

/// Whether the options ask for figures of the model that is made.
bool wantsValidation(const CompileOptions &options);

/// InvalidArgument for limits that are no numbers, names that are given twice
/// and limits without a text; Unsupported for formats of a GPU that the host,
/// which measures, has not.
Status checkValidationOptions(const CompileOptions &options);

/// The texts, or samples of a graph, of --validate; one without a name is
/// called like its file. InvalidArgument for names that are given twice.
StatusOr<std::vector<NamedText>> namedTexts(const CompileOptions &options);

/// Windows, a domain for each text.
struct ValidationWindows {
  TokenWindows windows;
  std::vector<ValidationText> texts;
};

/// For a raised model that has its context; `calibration` is what --calibrate
/// gave. InvalidArgument for a text that does not serve.
StatusOr<ValidationWindows>
readValidationTexts(mlir::ModuleOp raised, const CompileOptions &options,
                    const Companions &companions,
                    const std::optional<CalibrationText> &calibration);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_VALIDATIONTEXTS_H
