// What the options of a compilation ask of the stages (passes/Pipelines.h).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_STAGEOPTIONS_H
#define QOPT_LIB_DRIVER_STAGEOPTIONS_H

#include "passes/Pipelines.h"
#include "qopt/CompileOptions.h"
#include <string>
#include <utility>

namespace qopt::driver {

/// Formats of keys and values: "int8" or "key,value", both empty by default.
std::pair<std::string, std::string> cacheFormats(const CompileOptions &options);

/// Of the stage raise.
passes::ModelShape modelShape(const CompileOptions &options);

/// Of the stage quantize.
passes::AskedFormats askedFormats(const CompileOptions &options);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_STAGEOPTIONS_H
