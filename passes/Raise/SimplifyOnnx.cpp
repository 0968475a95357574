// Exporters leave no-ops behind: identities, casts to the same type, two
// transposes in a row, guards that can never act. They go here, by their
// meaning, so that the patterns that raise a model need not look through them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Raise/SimplifyOnnx.h"
#include "dialects/Onnx/SymbolicShapes.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "passes/Raise/FoldConstants.h"
#include "passes/Raise/OnnxBuilder.h"
#include "passes/Raise/Passes.h"

namespace qopt::passes {
#define GEN_PASS_DEF_SIMPLIFYONNXPASS
#include "passes/Raise/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt::onnx;

namespace {

/// Whether all sizes of two tensors are certainly equal, by the names of the
/// inputs' dimensions.
bool haveSameSizes(const SymbolicShapes &shapes, Value a, Value b) {
  const TensorFacts *from = shapes.lookup(a), *to = shapes.lookup(b);
  if (!from || !to || from->dims.size() != to->dims.size())
    return false;
  for (unsigned axis = 0; axis < from->dims.size(); ++axis)
    if (!shapes.sameDim(a, axis, b, axis))
      return false;
  return true;
}

/// Operators of moving data that move nothing when the sizes stay.
bool keepsOrder(Operation *op) {
  if (auto slice = dyn_cast<SliceOp>(op))
    return isAbsent(slice.getSteps()) ||
           qopt::passes::isConstantOf(slice.getSteps(), 1);
  return isa<ExpandOp, ReshapeOp, FlattenOp, SqueezeOp, UnsqueezeOp, TileOp>(
      op);
}

/// The elements of a small integer tensor that the sizes decide.
DenseElementsAttr knownContent(const SymbolicShapes &shapes, Value value) {
  const TensorFacts *facts = shapes.lookup(value);
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!facts || !facts->content || !type || !type.hasStaticShape() ||
      !isa<IntegerType>(type.getElementType()))
    return {};
  SmallVector<Attribute> elements;
  for (AffineExpr element : *facts->content) {
    auto constant = dyn_cast_or_null<AffineConstantExpr>(element);
    if (!constant)
      return {};
    elements.push_back(
        IntegerAttr::get(type.getElementType(), constant.getValue()));
  }
  return DenseElementsAttr::get(type, elements);
}

struct SimplifyOnnx : qopt::passes::impl::SimplifyOnnxPassBase<SimplifyOnnx> {
  void runOnOperation() override {
    simplifyBySizes();
    RewritePatternSet patterns(&getContext());
    qopt::passes::populateFoldConstants(patterns);
    qopt::passes::populateSimplifyMoves(patterns);
    qopt::passes::populateSimplifyArithmetic(patterns);
    qopt::passes::populateSimplifyShapes(patterns);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    returnWhatIsThere(getOperation());
  }

  /// What the symbolic sizes show: types that say less, values that are known,
  /// moves that move nothing.
  void simplifyBySizes() {
    SymbolicShapes shapes(&getContext());
    if (!shapes.run(getOperation()))
      return; // the patterns need no sizes
    getOperation().walk([&](Operation *op) {
      for (Value result : op->getResults())
        sharpenType(result, shapes.typeOf(result));
    });
    // The facts are those of the values before anything is replaced.
    SmallVector<std::pair<Operation *, DenseElementsAttr>> constants;
    SmallVector<Operation *> moves;
    getOperation().walk([&](Operation *op) {
      if (!isa<OnnxDialect>(op->getDialect()) || op->getNumResults() != 1 ||
          op->getNumRegions() || isa<ConstantOp, NoneOp>(op))
        return;
      if (DenseElementsAttr content = knownContent(shapes, op->getResult(0)))
        constants.emplace_back(op, content);
      else if (keepsOrder(op) &&
               haveSameSizes(shapes, op->getOperand(0), op->getResult(0)))
        moves.push_back(op);
    });
    IRRewriter rewriter(&getContext());
    for (auto [op, content] : constants) {
      rewriter.setInsertionPoint(op);
      rewriter.replaceOpWithNewOp<ConstantOp>(op, content);
    }
    for (Operation *op : moves)
      dropMove(op, rewriter);
  }

  /// Patterns write operators whose types know only what their operands' types
  /// know.
  static void sharpenType(Value result, RankedTensorType exact) {
    Operation *op = result.getDefiningOp();
    if (!exact || !isa<OnnxDialect>(op->getDialect()) || op->getNumRegions() ||
        !qopt::passes::isAtLeastAsExact(exact, result.getType()))
      return;
    bool anyType = llvm::all_of(result.getUsers(), [](Operation *user) {
      return isa<func::ReturnOp>(user) ||
             (isa<OnnxDialect>(user->getDialect()) && !isa<YieldOp>(user));
    });
    if (anyType)
      result.setType(exact);
  }

  static void dropMove(Operation *op, IRRewriter &rewriter) {
    Value data = op->getOperand(0);
    if (!qopt::passes::mayReplace(op, data))
      return;
    rewriter.replaceAllUsesWith(op->getResult(0), data);
    rewriter.eraseOp(op);
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

bool qopt::passes::mayReplace(Operation *op, Value value) {
  Value result = op->getResult(0);
  if (value.getType() == result.getType())
    return true;
  return isAtLeastAsExact(value.getType(), result.getType()) &&
         llvm::all_of(result.getUsers(), [](Operation *user) {
           return isa<OnnxDialect>(user->getDialect()) && !isa<YieldOp>(user);
         });
}

LogicalResult qopt::passes::replaceByEqual(Operation *op, Value value,
                                           PatternRewriter &rewriter) {
  for (Value other : llvm::drop_begin(op->getResults()))
    if (!other.use_empty())
      return rewriter.notifyMatchFailure(op, "another result is used");
  if (!mayReplace(op, value))
    return rewriter.notifyMatchFailure(
        op, "the value's type says less, or a user needs the wider type");
  rewriter.replaceAllUsesWith(op->getResult(0), value);
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
