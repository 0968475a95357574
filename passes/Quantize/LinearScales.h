// Attributes of linears that say by which scales what they read becomes codes,
// from the calibration that finds them to the passes that take them away.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_QUANTIZE_LINEARSCALES_H
#define QOPT_PASSES_QUANTIZE_LINEARSCALES_H

#include "llvm/ADT/StringRef.h"

namespace qopt::passes {

/// f32 [K]: scales of the channels of the input (FoldChannelScales).
inline constexpr llvm::StringLiteral channelScalesAttribute =
    "qopt.channel_scales";

/// f32: the scale of all codes of the input, where it has one scale for all
/// tokens (QuantizeActivations).
inline constexpr llvm::StringLiteral activationScaleAttribute =
    "qopt.activation_scale";

/// f32 [N]: what the bias gains, so that the mean of the result stays
/// (CorrectBiases).
inline constexpr llvm::StringLiteral biasCorrectionAttribute =
    "qopt.bias_correction";

} // namespace qopt::passes

#endif // QOPT_PASSES_QUANTIZE_LINEARSCALES_H
