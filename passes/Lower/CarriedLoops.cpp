// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Lower/CarriedLoops.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace qopt;

Value qopt::buildLoops(LoweringContext &context, ArrayRef<Value> sizes,
                       Value data, LoopBody body) {
  OpBuilder &b = context.b;
  OpBuilder::InsertionGuard guard(b);
  SmallVector<Value> bounds(sizes);
  if (bounds.empty())
    bounds.push_back(context.index(1));
  Value zero = context.index(0), one = context.index(1);
  SmallVector<scf::ForOp> loops;
  SmallVector<Value> indices;
  for (Value bound : bounds) {
    loops.push_back(scf::ForOp::create(b, context.loc, zero, bound, one, data));
    indices.push_back(loops.back().getInductionVar());
    data = loops.back().getRegionIterArg(0);
    b.setInsertionPointToStart(loops.back().getBody());
  }
  Value next = body(ArrayRef(indices).take_front(sizes.size()), data);
  scf::YieldOp::create(b, context.loc, next);
  for (scf::ForOp inner : llvm::drop_begin(loops)) {
    b.setInsertionPointAfter(inner);
    scf::YieldOp::create(b, context.loc, inner.getResults());
  }
  return loops.front().getResult(0);
}
