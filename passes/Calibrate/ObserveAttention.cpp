// What a cache loses depends on the keys and values that it holds: a channel
// that is larger than all others takes the range of codes that share a scale
// with it. Rotation spreads such a channel over two, at each position another
// way, so keys are observed ahead of it, too.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/OnnxOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/Calibrate/ObservedResults.h"
#include "passes/Calibrate/Passes.h"

namespace qopt::passes {
#define GEN_PASS_DEF_OBSERVEATTENTIONPASS
#include "passes/Calibrate/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;

/// What keys are made of by moves alone: views, and axes in another order.
static Value sourceOf(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (!isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp, tensor::CastOp,
             onnx::TransposeOp>(op))
      break;
    value = op->getOperand(0);
  }
  return value;
}

namespace {

struct ObserveAttention
    : passes::impl::ObserveAttentionPassBase<ObserveAttention> {
  void runOnOperation() override {
    Builder builder(&getContext());
    SmallVector<passes::ObservedResult> results;
    int64_t number = 0;
    getOperation().walk([&](ir::AttentionOp attention) {
      Attribute place = builder.getI64IntegerAttr(number);
      std::string name = "attention " + std::to_string(number++);
      results.push_back(
          {attention.getK(), ir::Observed::Key, {place}, name + " key"});
      if (auto rotary =
              sourceOf(attention.getK()).getDefiningOp<ir::RotaryOp>())
        results.push_back({rotary.getX(),
                           ir::Observed::Key,
                           {place, builder.getStringAttr("before rotary")},
                           name + " key before rotary"});
      results.push_back(
          {attention.getV(), ir::Observed::Value, {place}, name + " value"});
    });
    passes::appendResults(getOperation(), results);
  }
};

} // namespace
