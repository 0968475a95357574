// The patterns of ExpandMicrosoft that lie in a file of their own.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_RAISE_EXPANDMICROSOFT_H
#define QOPT_PASSES_RAISE_EXPANDMICROSOFT_H

#include "mlir/IR/PatternMatch.h"

namespace qopt::onnx {

/// Attention, MultiHeadAttention, EmbedLayerNormalization, RotaryEmbedding and
/// FusedMatMul of com.microsoft.
void addMicrosoftAttentionPatterns(mlir::RewritePatternSet &patterns);

} // namespace qopt::onnx

#endif // QOPT_PASSES_RAISE_EXPANDMICROSOFT_H
