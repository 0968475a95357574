// What the options of a compilation ask of the stages (passes/Pipelines.h).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_STAGEOPTIONS_H
#define QOPT_LIB_DRIVER_STAGEOPTIONS_H

#include "passes/Pipelines.h"
#include "qopt/CompileOptions.h"

namespace qopt::driver {

/// Of the stage raise.
passes::ModelShape modelShape(const CompileOptions &options);

/// Of the stage quantize.
passes::AskedFormats askedFormats(const CompileOptions &options);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_STAGEOPTIONS_H
