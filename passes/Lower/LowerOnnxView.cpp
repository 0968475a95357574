// Onnx ops that give the same elements another shape, or name them anew: no
// kernel, only tensor.expand_shape and tensor.collapse_shape, which the plan
// turns into aliases.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Lower/OnnxLowering.h"

using namespace mlir;
using namespace qopt;

/// The first operand with the shape of the first result.
template <typename OpTy>
static LogicalResult lowerView(OpTy op, LoweringContext &context) {
  Value from = op->getOperand(0), to = op->getResult(0);
  Value value = context.lowered(from);
  bool sameShape = context.rankOf(from) == context.rankOf(to);
  for (int64_t dim = 0; sameShape && dim < context.rankOf(to); ++dim)
    sameShape = context.isSame(from, dim, to, dim);
  if (!sameShape)
    value = context.view(value, to);
  if (!value)
    return context.fail("the shape of its result depends on the contents of a "
                        "tensor");
  return context.finish(to, value);
}

static LogicalResult lowerDropout(onnx::DropoutOp op,
                                  LoweringContext &context) {
  if (!onnx::isAbsent(op.getMask()) && !op.getMask().use_empty())
    return context.fail("its mask is used; export the model for inference");
  context.replace(op.getResult(), context.lowered(op.getData()));
  return success();
}

void qopt::addViewLowerings(OnnxLoweringTable &table) {
  using namespace onnx;
  addLowering<ReshapeOp, lowerView<ReshapeOp>>(table);
  addLowering<SqueezeOp, lowerView<SqueezeOp>>(table);
  addLowering<UnsqueezeOp, lowerView<UnsqueezeOp>>(table);
  addLowering<FlattenOp, lowerView<FlattenOp>>(table);
  addLowering<IdentityOp, lowerView<IdentityOp>>(table);
  addLowering<DropoutOp, lowerDropout>(table);
}
