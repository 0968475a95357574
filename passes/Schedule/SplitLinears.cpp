// A GPU's launch has rows of several formats, a kernel of the host's has one.
// So each format's rows become a linear of their own, with the order of sums
// that the launch has for them, and results lie side by side as before.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/OnnxDialect.h"
#include "dialects/Onnx/OnnxOps.h"
#include "dialects/QOpt/QOptOps.h"
#include "dialects/QOpt/StoredElements.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "passes/Schedule/Passes.h"
#include "passes/Schedule/SumOrders.h"

namespace qopt::passes {
#define GEN_PASS_DEF_SPLITLINEARSPASS
#include "passes/Schedule/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;

namespace {

/// The sources of a merged weight, those of neighbouring rows of one format
/// together; none where it is no concatenation.
SmallVector<SmallVector<Value>> sourcesByFormat(Value weight) {
  SmallVector<SmallVector<Value>> ranges;
  auto concat = weight.getDefiningOp<ir::ConcatWeightsOp>();
  std::optional<quant::Format> before;
  for (Value source : concat ? concat.getSources() : ValueRange()) {
    auto type = cast<ir::WeightType>(source.getType());
    if (!type.hasOneFormat())
      return {};
    if (before != type.getFormat())
      ranges.emplace_back();
    ranges.back().push_back(source);
    before = type.getFormat();
  }
  return ranges;
}

/// Elements [first, first + count) of a vector; null where it is no constant.
Value pieceOf(OpBuilder &builder, Value vector, int64_t first, int64_t count) {
  ElementsAttr elements;
  if (!matchPattern(vector, m_Constant(&elements)))
    return {};
  auto stored = ir::StoredElements::of(elements);
  if (!stored)
    return {};
  auto type = cast<RankedTensorType>(vector.getType());
  size_t bytes = stored->bytes().size() / size_t(type.getNumElements());
  auto piece = RankedTensorType::get({count}, type.getElementType());
  return arith::ConstantOp::create(
      builder, vector.getLoc(),
      DenseElementsAttr::getFromRawBuffer(
          piece,
          stored->bytes().slice(size_t(first) * bytes, size_t(count) * bytes)));
}

struct SplitLinears : qopt::passes::impl::SplitLinearsPassBase<SplitLinears> {
  void runOnOperation() override {
    SmallVector<ir::LinearOp> mixed;
    getOperation().walk([&](ir::LinearOp op) {
      if (!op.getWeight().getType().hasOneFormat())
        mixed.push_back(op);
    });
    for (ir::LinearOp op : mixed)
      if (failed(split(op)))
        return signalPassFailure();
  }

  LogicalResult split(ir::LinearOp op) {
    SmallVector<SmallVector<Value>> ranges = sourcesByFormat(op.getWeight());
    if (ranges.empty() || op.getResidual())
      return op.emitError("its rows have several formats; expected a weight "
                          "that is made of one of each, and no residual");
    OpBuilder builder(op);
    SmallVector<Value> results;
    int64_t first = 0;
    for (auto [index, sources] : llvm::enumerate(ranges)) {
      auto part = partOf(builder, op, sources, first);
      if (failed(part))
        return failure();
      if (auto orders =
              op->getAttrOfType<ArrayAttr>(passes::sumOrdersAttribute))
        (*part)->setAttr(passes::sumOrdersAttribute, orders[index]);
      results.push_back((*part).getResult());
      first += (*part).getWeight().getType().getRows();
    }
    auto type = op.getResult().getType();
    op.getResult().replaceAllUsesWith(onnx::ConcatOp::create(
        builder, op.getLoc(), type, results, type.getRank() - 1));
    op.erase();
    return success();
  }

  /// The linear of rows that begin at `first`.
  FailureOr<ir::LinearOp> partOf(OpBuilder &builder, ir::LinearOp op,
                                 ArrayRef<Value> sources, int64_t first) {
    Value weight = sources.front();
    if (sources.size() > 1)
      weight = ir::ConcatWeightsOp::create(builder, op.getLoc(), sources);
    int64_t rows = cast<ir::WeightType>(weight.getType()).getRows();
    Value bias;
    if (op.getBias() && !(bias = pieceOf(builder, op.getBias(), first, rows)))
      return op.emitError("its bias is no constant, its rows have several "
                          "formats; expected a constant");
    auto type = op.getResult().getType();
    SmallVector<int64_t> shape(type.getShape());
    shape.back() = rows;
    return ir::LinearOp::create(builder, op.getLoc(), type.clone(shape),
                                op.getX(), weight, bias, Value());
  }
};

} // namespace
