// What a GPU rounds to 16 bits, the host rounds too, though its kernels know
// only f32: each value becomes f32 and is converted to its type and back where
// it was written. So both targets compute one function, and differ by the order
// of sums in f32 alone.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/OnnxDialect.h"
#include "dialects/Onnx/OnnxOps.h"
#include "dialects/QOpt/QOptDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "passes/Quantize/ActivationTypes.h"
#include "passes/Quantize/Passes.h"

namespace qopt::passes {
#define GEN_PASS_DEF_ROUNDACTIVATIONSPASS
#include "passes/Quantize/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;

static bool isNarrow(Type element) {
  return element.isF16() || element.isBF16();
}

/// Results that an operation computes: neither parameters nor what only moves.
/// Sums, multiples and quotients of 16 bits are rounded once, as f32 has more
/// than twice their digits (Figueroa, When is double rounding innocuous?).
static bool writesNarrow(Value value) {
  Operation *op = value.getDefiningOp();
  return isNarrow(getElementTypeOrSelf(value.getType())) &&
         isa<RankedTensorType>(value.getType()) &&
         isa<onnx::OnnxDialect, ir::QOptDialect, linalg::LinalgDialect,
             arith::ArithDialect, math::MathDialect>(op->getDialect()) &&
         !op->hasTrait<OpTrait::ConstantLike>() && !passes::onlyMoves(op);
}

namespace {

struct RoundActivations
    : passes::impl::RoundActivationsPassBase<RoundActivations> {
  void runOnOperation() override {
    llvm::SmallSetVector<Operation *, 32> marks = markRoundings();
    passes::changeActivations(
        getOperation(), {isNarrow, Float32Type::get(&getContext()),
                         [&](Operation *op) { return marks.contains(op); }});
    for (Operation *mark : marks) {
      mark->getResult(0).replaceAllUsesWith(mark->getOperand(0));
      mark->erase();
    }
  }

  /// Places an identity behind each value of 16 bits. It keeps its type, so
  /// that casts around it convert to 16 bits and back.
  llvm::SmallSetVector<Operation *, 32> markRoundings() {
    llvm::SmallVector<Value> values;
    getOperation()->walk([&](Operation *op) {
      llvm::append_range(
          values, llvm::make_filter_range(op->getResults(), writesNarrow));
    });
    llvm::SmallSetVector<Operation *, 32> marks;
    OpBuilder builder(&getContext());
    for (Value value : values) {
      builder.setInsertionPointAfterValue(value);
      auto mark = onnx::IdentityOp::create(builder, value.getLoc(),
                                           value.getType(), value);
      value.replaceAllUsesExcept(mark.getResult(), mark);
      marks.insert(mark);
    }
    return marks;
  }
};

} // namespace
