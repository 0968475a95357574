// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Fuse/Regions.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::ir;

FusedOp passes::makeRegion(ArrayRef<Operation *> ops, ArrayRef<Value> results,
                           PatternRewriter &rewriter) {
  llvm::SetVector<Value> inputs;
  llvm::SmallPtrSet<Operation *, 4> inside(ops.begin(), ops.end());
  for (Operation *op : ops)
    for (Value operand : op->getOperands())
      if (!inside.contains(operand.getDefiningOp()))
        inputs.insert(operand);

  Location loc = ops.back()->getLoc();
  auto fused = FusedOp::create(rewriter, loc, ValueRange(results).getTypes(),
                               inputs.getArrayRef());
  Block *body = rewriter.createBlock(
      &fused.getBody(), {}, ValueRange(inputs.getArrayRef()).getTypes(),
      SmallVector<Location>(inputs.size(), loc));
  IRMapping mapping;
  mapping.map(inputs.getArrayRef(), body->getArguments());
  for (Operation *op : ops)
    rewriter.clone(*op, mapping);
  SmallVector<Value> yielded;
  for (Value result : results)
    yielded.push_back(mapping.lookup(result));
  YieldOp::create(rewriter, loc, yielded);
  return fused;
}
