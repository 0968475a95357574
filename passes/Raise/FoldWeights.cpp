// Some exporters compute weights when the model runs: they cast them, join
// shards, or scale them, always to the same numbers. This pass evaluates such
// operators once, so that products and look-ups have constants to be raised
// with. What is only read in another order or a wider type is left alone:
// raising looks through it, and the weight stays what the file has.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/Evaluate/Evaluator.h"
#include "dialects/Onnx/OnnxOps.h"
#include "dialects/QOpt/StoredElements.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "passes/Raise/OnnxValues.h"
#include "passes/Raise/Passes.h"

namespace qopt::passes {
#define GEN_PASS_DEF_FOLDWEIGHTSPASS
#include "passes/Raise/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt::onnx;

namespace {

DenseResourceElementsAttr resourceOf(Value value) {
  auto constant = value.getDefiningOp<ConstantOp>();
  return constant ? dyn_cast<DenseResourceElementsAttr>(constant.getValue())
                  : DenseResourceElementsAttr();
}

bool isConstant(Value value) {
  return isAbsent(value) || value.getDefiningOp<ConstantOp>();
}

/// What all results may have together: of int8 weights, casts to f32 and two
/// operators behind take 12 bytes a code.
constexpr int64_t timesWeights = 16, leastBudget = 1 << 20;

int64_t bytesOf(RankedTensorType type) {
  return type.getNumElements() *
         llvm::divideCeil(type.getElementTypeBitWidth(), 8);
}

/// Operators whose result has about as many elements as their operands.
bool isFoldable(Operation *op) {
  return isa<AddOp, CastOp, ConcatOp, DivOp, MulOp, NegOp, ReshapeOp, SliceOp,
             SplitOp, SqueezeOp, SubOp, UnsqueezeOp>(op);
}

/// A weight of the file in other words: see matrixOf of RaiseWeights.
bool isLookedThrough(CastOp cast) {
  return isWideningOfMatrix(cast) &&
         llvm::all_of(cast->getUsers(), [](Operation *user) {
           return isa<GatherOp, GemmOp, MatMulOp, TransposeOp>(user);
         });
}

struct FoldWeight : RewritePattern {
  /// `budget`: bytes that results may have, in all.
  FoldWeight(MLIRContext *context, int64_t &budget)
      : RewritePattern(MatchAnyOpTypeTag(), /*benefit=*/1, context),
        budget(budget) {}

  LogicalResult matchAndRewrite(Operation *op,
                                PatternRewriter &rewriter) const override {
    if (!isFoldable(op) || !llvm::all_of(op->getOperands(), isConstant) ||
        llvm::none_of(op->getOperands(), resourceOf))
      return failure();
    if (auto cast = dyn_cast<CastOp>(op); cast && isLookedThrough(cast))
      return rewriter.notifyMatchFailure(op, "raising looks through it");
    std::optional<int64_t> made = bytesOfResults(op);
    if (!made || *made > budget)
      return rewriter.notifyMatchFailure(op,
                                         "the results are no tensors of "
                                         "numbers as large as the operands");
    budget -= *made;
    Evaluator evaluator({INT64_MAX, INT64_MAX});
    SmallVector<Value> constants;
    bool hasAbsent = llvm::any_of(op->getOperands(), [](Value operand) {
      auto resource = resourceOf(operand);
      return resource && qopt::ir::areAbsent(resource);
    });
    for (Value result : op->getResults()) {
      if (hasAbsent) {
        auto type = cast<RankedTensorType>(result.getType());
        constants.push_back(ConstantOp::create(
            rewriter, op->getLoc(), type,
            qopt::ir::absentElements(
                type, firstResource(op).getRawHandle().getKey())));
        continue;
      }
      qopt::StatusOr<HostTensor> tensor = evaluator.evaluate(result);
      if (!tensor)
        return rewriter.notifyMatchFailure(op, tensor.status().message());
      auto type = cast<RankedTensorType>(result.getType());
      constants.push_back(ConstantOp::create(rewriter, op->getLoc(), type,
                                             attributeOf(type, *tensor, op)));
    }
    rewriter.replaceOp(op, constants);
    return success();
  }

private:
  /// Nothing where few numbers would become a large tensor.
  static std::optional<int64_t> bytesOfResults(Operation *op) {
    int64_t given = 0, made = 0;
    for (Value operand : op->getOperands())
      if (auto type = dyn_cast<RankedTensorType>(operand.getType()))
        given += bytesOf(type);
    for (Value result : op->getResults()) {
      auto type = dyn_cast<RankedTensorType>(result.getType());
      if (!type || !type.hasStaticShape() ||
          !(isComputable(result) || type.getElementType().isF64()))
        return std::nullopt;
      made += bytesOf(type);
    }
    return made <= 4 * given ? std::optional(made) : std::nullopt;
  }

  int64_t &budget;

  static DenseResourceElementsAttr firstResource(Operation *op) {
    return resourceOf(*llvm::find_if(
        op->getOperands(), [](Value v) { return bool(resourceOf(v)); }));
  }

  /// With the name of the first weight, and its bytes where they are the same.
  static ElementsAttr attributeOf(RankedTensorType type,
                                  const HostTensor &tensor, Operation *op) {
    constexpr size_t alignment = 64;
    auto first = firstResource(op);
    AsmResourceBlob *blob = first.getRawHandle().getBlob();
    if (blob && blob->getData().data() == tensor.bytes().data() &&
        blob->getData().size() == tensor.bytes().size())
      return DenseResourceElementsAttr::get(type, first.getRawHandle());
    return DenseResourceElementsAttr::get(
        type, first.getRawHandle().getKey(),
        HeapAsmResourceBlob::allocateAndCopyWithAlign(tensor.bytes(), alignment,
                                                      /*dataIsMutable=*/false));
  }
};

struct FoldWeights : qopt::passes::impl::FoldWeightsPassBase<FoldWeights> {
  using FoldWeightsPassBase::FoldWeightsPassBase;

  void runOnOperation() override {
    // Results of results: tensors that grow from step to step end somewhere.
    int64_t budget = leastBudget;
    getOperation().walk([&](ConstantOp constant) {
      if (resourceOf(constant))
        budget +=
            timesWeights *
            bytesOf(cast<RankedTensorType>(constant.getResult().getType()));
    });
    RewritePatternSet patterns(&getContext());
    patterns.add<FoldWeight>(&getContext(), budget);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
