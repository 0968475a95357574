// Where scales of the channels of a tensor can go: x = (x / s) · s, with 1 / s
// folded into what makes the tensor and s into the columns of the weights that
// read it, so that nothing is computed anew (SmoothQuant, arXiv 2211.10438;
// AWQ, arXiv 2306.00978).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_QUANTIZE_CHANNELSITE_H
#define QOPT_PASSES_QUANTIZE_CHANNELSITE_H

#include "dialects/QOpt/QOptOps.h"
#include "llvm/ADT/SmallVector.h"
#include <string>
#include <vector>

namespace qopt::passes {

/// A tensor that only linears read, and what makes it: a norm, or a linear
/// whose rows are its channels, by way of a gate or of attention.
struct ChannelSite {
  mlir::Operation *norm = nullptr; ///< rms_norm or layer_norm, or null
  ir::LinearOp source;             ///< where there is no norm
  llvm::SmallVector<ir::LinearOp> readers;
  /// The channel of the norm, or row of the source, that column k of the
  /// readers reads: queries that share a head of values read one row often.
  std::vector<int64_t> channels;
};

/// The site of the tensor `x`; where it has none, an empty list of readers and
/// the reason.
ChannelSite findChannelSite(mlir::Value x, std::string &reason);

/// Folds `scales` [K], which are equal where columns have one channel, into the
/// site. A constant without elements is an error at what reads it.
mlir::LogicalResult foldChannelScales(const ChannelSite &site,
                                      llvm::ArrayRef<float> scales);

/// Whether a linear has a bias whose elements are known.
bool hasConstantBias(ir::LinearOp linear);
/// Adds numbers [N] to it, for this linear alone. One without elements is an
/// error at the linear.
mlir::LogicalResult addToBias(ir::LinearOp linear,
                              llvm::ArrayRef<float> numbers);

/// The norm that makes what a linear reads, by way of what keeps its elements,
/// as quantized activations do; null where there is none.
mlir::Operation *normAhead(ir::LinearOp linear);

/// Multiplies the scale, and the bias, of a norm over `factors` channels, which
/// are constants. One without elements is an error at the norm.
mlir::LogicalResult multiplyNorm(mlir::Operation *norm,
                                 llvm::ArrayRef<float> factors);

} // namespace qopt::passes

#endif // QOPT_PASSES_QUANTIZE_CHANNELSITE_H
