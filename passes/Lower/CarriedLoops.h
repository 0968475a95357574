// Loops that write into a tensor they carry, element after element: what has an
// order. CutLoop makes one kernel of a nest, which is not divided among
// threads.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_LOWER_CARRIEDLOOPS_H
#define QOPT_PASSES_LOWER_CARRIEDLOOPS_H

#include "passes/Lower/OnnxLowering.h"

namespace qopt {

/// The tensor after one trip, from that before it.
using LoopBody = llvm::function_ref<mlir::Value(
    llvm::ArrayRef<mlir::Value> indices, mlir::Value data)>;

/// Loops over `sizes` that carry `data`; at least one. A nest must have more
/// than one trip: a single one would not stay a loop.
mlir::Value buildLoops(LoweringContext &context,
                       llvm::ArrayRef<mlir::Value> sizes, mlir::Value data,
                       LoopBody body);

} // namespace qopt

#endif // QOPT_PASSES_LOWER_CARRIEDLOOPS_H
