// Exporters leave no-ops behind: identities, casts to the same type, two
// transposes in a row, guards that can never act. They go here, by their
// meaning, so that the patterns that raise a model need not look through them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Raise/SimplifyOnnx.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "passes/Raise/FoldConstants.h"
#include "passes/Raise/Passes.h"

namespace qopt::passes {
#define GEN_PASS_DEF_SIMPLIFYONNXPASS
#include "passes/Raise/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt::onnx;

namespace {

struct SimplifyOnnx : qopt::passes::impl::SimplifyOnnxPassBase<SimplifyOnnx> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    qopt::passes::populateFoldConstants(patterns);
    qopt::passes::populateSimplifyMoves(patterns);
    qopt::passes::populateSimplifyArithmetic(patterns);
    qopt::passes::populateSimplifyShapes(patterns);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace

bool qopt::passes::isAtLeastAsExact(Type exact, Type wide) {
  if (exact == wide)
    return true;
  auto a = dyn_cast<RankedTensorType>(exact),
       b = dyn_cast<RankedTensorType>(wide);
  if (!a || !b || a.getElementType() != b.getElementType() ||
      a.getRank() != b.getRank())
    return false;
  for (auto [known, asked] : llvm::zip(a.getShape(), b.getShape()))
    if (!ShapedType::isDynamic(asked) && known != asked)
      return false;
  return true;
}

LogicalResult qopt::passes::replaceByEqual(Operation *op, Value value,
                                           PatternRewriter &rewriter) {
  Value result = op->getResult(0);
  for (Value other : llvm::drop_begin(op->getResults()))
    if (!other.use_empty())
      return rewriter.notifyMatchFailure(op, "another result is used");
  if (value.getType() != result.getType()) {
    if (!isAtLeastAsExact(value.getType(), result.getType()))
      return rewriter.notifyMatchFailure(op, "the operand's type says less");
    for (Operation *user : result.getUsers())
      if (!isa<OnnxDialect>(user->getDialect()) || isa<YieldOp>(user))
        return rewriter.notifyMatchFailure(op, "a user needs the wider type");
  }
  rewriter.replaceAllUsesWith(result, value);
  rewriter.eraseOp(op);
  return success();
}

bool qopt::passes::isConstantOf(Value value, double number) {
  DenseElementsAttr elements;
  if (!matchPattern(value, m_Constant(&elements)) || elements.empty())
    return false;
  if (!elements.isSplat() && elements.getNumElements() > 64)
    return false;
  if (auto floats = dyn_cast<DenseFPElementsAttr>(elements))
    return llvm::all_of(floats.getValues<APFloat>(), [&](const APFloat &x) {
      return x.convertToDouble() == number;
    });
  std::optional<SmallVector<int64_t>> integers = constantIntegers(value);
  return integers && llvm::all_of(*integers, [&](int64_t x) {
           return static_cast<double>(x) == number;
         });
}
