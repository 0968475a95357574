// Scales for the channels of activations, searched where the model reads a
// text: for each tensor that linears read, those under which codes of the
// tensor and of the weights change what the linears give least. With codes of
// activations this is SmoothQuant (arXiv 2211.10438) with its exponents
// searched, without them AWQ (arXiv 2306.00978).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_CHANNELSCALING_H
#define QOPT_LIB_DRIVER_CHANNELSCALING_H

#include "lib/Driver/CalibrationModel.h"
#include "mlir/IR/BuiltinOps.h"
#include "qopt/Compiler.h"

namespace qopt::driver {

/// Gives linears of `raised`, a model as the stage "raise" leaves it, the
/// scales of what they read (passes/Quantize/LinearScales.h): those of channels
/// where they have less error on held-out text than none and, with `isStatic`,
/// the one of all codes, a part of the largest value. `quantized` is the same
/// model as the stage "quantize" leaves it for the host, with scales of
/// activations for each token, `model` the same with activations in f32.
Status scaleChannels(mlir::ModuleOp raised, mlir::ModuleOp quantized,
                     bool isStatic, CalibrationModel &model,
                     const Progress &progress);

/// Samples, of `count` that a calibration has, that are enough for it; every
/// eighth of them is held out.
std::vector<int64_t> samplesForScales(int64_t count);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_CHANNELSCALING_H
