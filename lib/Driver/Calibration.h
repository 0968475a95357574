// Quantizes weights by what they do: the model runs on text, layer by layer,
// and each weight is rounded under the second moment of what its linear reads,
// behind layers that are quantized already. The passes of passes/Calibrate make
// the functions that run, lib/Calibrate takes the statistics, lib/Quant rounds;
// here is the order of it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_CALIBRATION_H
#define QOPT_LIB_DRIVER_CALIBRATION_H

#include "lib/Calibrate/CalibrationTokens.h"
#include "lib/Driver/Companions.h"
#include "mlir/IR/BuiltinOps.h"
#include "qopt/Compiler.h"

namespace qopt::driver {

/// The windows of the text `options.calibrate` for a raised model. Unsupported
/// for one that is no decoder, InvalidArgument for a text or tokenizer that
/// does not serve.
StatusOr<calibrate::CalibrationTokens>
readCalibrationText(mlir::ModuleOp module, const CompileOptions &options,
                    const Companions &companions);

/// Replaces each `quantize_weight` of a linear by a weight of codes. `module`
/// is a decoder as the stage "quantize" leaves it for the target; `reference`
/// is the same one, with the same formats of weights, for the host.
Status calibrateWeights(mlir::ModuleOp module, mlir::ModuleOp reference,
                        const calibrate::CalibrationTokens &tokens,
                        const CompileOptions &options,
                        const Progress &progress);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_CALIBRATION_H
