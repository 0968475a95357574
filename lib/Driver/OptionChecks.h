// Options that no model can be compiled with.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_OPTIONCHECKS_H
#define QOPT_LIB_DRIVER_OPTIONCHECKS_H

#include "qopt/CompileOptions.h"
#include "qopt/Status.h"

namespace qopt::driver {

/// Values that the command line refuses by itself, for every other caller.
Status checkOptions(const CompileOptions &options);

/// The same, of who says without a budget how many sequences a step has, and on
/// which host.
Status checkStepOptions(const CompileOptions &asked);

/// Whether --blame has something to measure on, and no option of artifacts.
Status checkBlameOptions(const CompileOptions &options);

/// Whether a stage is one of the options' target, and they have no option that
/// is for artifacts alone.
Status checkStage(const CompileOptions &options, Stage stage);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_OPTIONCHECKS_H
