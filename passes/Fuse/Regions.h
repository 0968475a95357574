// Operations that become one launch stand in a region of their own.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_FUSE_REGIONS_H
#define QOPT_PASSES_FUSE_REGIONS_H

#include "dialects/QOpt/QOptOps.h"
#include "mlir/IR/PatternMatch.h"

namespace qopt::passes {

/// Makes a fused region of `ops`, which stand in this order, in place of the
/// last. Results are those of `ops` that `results` lists.
ir::FusedOp makeRegion(llvm::ArrayRef<mlir::Operation *> ops,
                       llvm::ArrayRef<mlir::Value> results,
                       mlir::PatternRewriter &rewriter);

} // namespace qopt::passes

#endif // QOPT_PASSES_FUSE_REGIONS_H
