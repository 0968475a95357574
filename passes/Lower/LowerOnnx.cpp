// LowerOnnx: whatever raising left in the onnx dialect becomes linalg, tensor
// and arith. Ops are lowered one by one beside the originals; then uses move
// over, what is dead goes (all shape arithmetic, as sizes come from shape
// inference), and what still has uses is reported at once, so that a user sees
// every obstacle of a model in one run.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/NodeLocation.h"
#include "dialects/Onnx/PrintableNames.h"
#include "dialects/Onnx/RaisingLimits.h"
#include "dialects/QOpt/QOptDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Pass/Pass.h"
#include "passes/Lower/OnnxLowering.h"
#include "passes/Lower/Passes.h"
#include "passes/Lower/ScalarMath.h"

namespace qopt::passes {
#define GEN_PASS_DEF_LOWERONNXPASS
#include "passes/Lower/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;

static OnnxLoweringTable makeTable() {
  OnnxLoweringTable table;
  addElementwiseLowerings(table);
  addViewLowerings(table);
  addMoveLowerings(table);
  addGatherLowerings(table);
  addScatterLowerings(table);
  addStateLowerings(table);
  addReduceLowerings(table);
  addNormLowerings(table);
  addProductLowerings(table);
  addQuantLowerings(table);
  return table;
}

/// A small integer tensor whose elements are sizes: a constant, or a kernel
/// that writes them.
static LogicalResult lowerContent(Value result, LoweringContext &context) {
  auto elements = context.content(result);
  if (!elements || !context.typeOf(result).hasStaticShape())
    return failure();
  SmallVector<int64_t> numbers;
  for (OpFoldResult element : *elements)
    if (std::optional<int64_t> number = getConstantIntValue(element))
      numbers.push_back(*number);
  RankedTensorType type = context.typeOf(result);
  unsigned width = type.getElementType().getIntOrFloatBitWidth();
  if (numbers.size() == elements->size()) {
    SmallVector<APInt> values;
    for (int64_t number : numbers)
      values.push_back(APInt(64, number).trunc(width));
    context.replace(result, arith::ConstantOp::create(
                                context.b, context.loc,
                                DenseElementsAttr::get(type, values)));
    return success();
  }
  SmallVector<Value> sizes;
  for (OpFoldResult element : *elements)
    sizes.push_back(context.index(element));
  return context.generate(result, [&](ArrayRef<Value> indices) {
    ScalarMath math(context);
    Value place = context.index(0);
    for (auto [index, size] : llvm::zip(indices, type.getShape())) {
      place = math.multiply({place}, {context.index(size)});
      place = math.add({place}, {index});
    }
    Value chosen = sizes.back();
    for (int64_t i = sizes.size() - 2; i >= 0; --i) {
      Value here =
          math.compare(ScalarMath::Order::Equal, {place}, {context.index(i)});
      chosen = math.select(here, sizes[i], chosen);
    }
    return math.convert({chosen}, type.getElementType());
  });
}

static bool isSizes(Operation *op, const LoweringContext &context) {
  return op->getNumResults() == 1 &&
         isa<RankedTensorType>(op->getResult(0).getType()) &&
         isa<IntegerType>(context.elementOf(op->getResult(0)));
}

/// Of a condition that is one of the model's inputs also what to do.
static std::string whyNoBranch(onnx::IfOp op) {
  std::string why =
      "its condition is no constant, and its branches cannot both be computed: "
      "they have values of sizes that are not known or differ, or look up "
      "places";
  auto input = dyn_cast<BlockArgument>(op->getOperand(0));
  auto function =
      input ? dyn_cast<func::FuncOp>(input.getOwner()->getParentOp()) : nullptr;
  if (!function)
    return why;
  auto name =
      function.getArgAttrOfType<StringAttr>(input.getArgNumber(), "qopt.name");
  return name ? why + "; choose one, as with --input " + name.str() + "=true"
              : why;
}

/// Lowers one op; false with a reason in the context where that is not
/// possible.
static bool lowerOp(Operation *op, const OnnxLoweringTable &table,
                    LoweringContext &context) {
  context.begin(op);
  if (auto constant = dyn_cast<onnx::ConstantOp>(op)) {
    context.replace(constant, arith::ConstantOp::create(
                                  context.b, context.loc,
                                  cast<TypedAttr>(constant.getValue())));
    return true;
  }
  if (isSizes(op, context) &&
      succeeded(lowerContent(op->getResult(0), context)))
    return true;
  if (isa<onnx::IfOp>(op)) {
    context.reason = whyNoBranch(cast<onnx::IfOp>(op));
    return false;
  }
  auto lower = table.find(op->getName().getStringRef());
  if (lower == table.end()) {
    bool isDouble = llvm::any_of(op->getOperandTypes(), [](Type type) {
      return getElementTypeOrSelf(type).isF64();
    });
    StringRef limit = onnx::limitOf(op);
    context.reason =
        isDouble ? "is not supported for f64; expected f32, f16 or bf16, "
                   "export the model in one of them"
        : limit.empty() ? "is not supported outside of what raising recognises"
                        : limit.str();
    return false;
  }
  for (Value value : op->getOperands())
    if (!isa<RankedTensorType, NoneType>(value.getType())) {
      context.reason = "has an operand of unknown rank";
      return false;
    } else if (!onnx::isAbsent(value) && !context.hasSizes(value)) {
      context.reason =
          "the size of an operand depends on the contents of a tensor";
      return false;
    }
  return succeeded(lower->second(op, context));
}

namespace {
struct LowerOnnxPass : passes::impl::LowerOnnxPassBase<LowerOnnxPass> {
  void runOnOperation() override;

private:
  void
  reportRemaining(const llvm::MapVector<Operation *, std::string> &reasons);
};
} // namespace

/// Uses move to what was built; then the originals go, last first.
static void moveUses(ArrayRef<Operation *> ops, LoweringContext &context) {
  for (Operation *op : ops)
    for (Value result : op->getResults()) {
      Value now = context.lowered(result);
      if (now != result)
        result.replaceAllUsesWith(now);
    }
  for (Operation *op : llvm::reverse(ops))
    if (op->use_empty() && op->getNumRegions() == 0)
      op->erase();
}

void LowerOnnxPass::runOnOperation() {
  func::FuncOp function = getOperation();
  if (function.isExternal())
    return;
  onnx::SymbolicShapes shapes(&getContext());
  if (Status inferred = shapes.run(function); !inferred.ok()) {
    mlir::emitError(function.getLoc()) << inferred.message();
    return signalPassFailure();
  }
  SmallVector<Operation *> ops;
  for (Operation &op : function.getBody().front())
    if (isa_and_present<onnx::OnnxDialect>(op.getDialect()))
      ops.push_back(&op);
  LoweringContext context(function, shapes);
  OnnxLoweringTable table = makeTable();
  llvm::MapVector<Operation *, std::string> reasons;
  for (Operation *op : ops)
    if (!isa<onnx::NoneOp>(op) && !lowerOp(op, table, context))
      reasons[op] = context.reason;
  moveUses(ops, context);
  reportRemaining(reasons);
}

void LowerOnnxPass::reportRemaining(
    const llvm::MapVector<Operation *, std::string> &reasons) {
  // Ops that were erased above are no longer in the function.
  DenseSet<Operation *> alive;
  getOperation().walk([&](Operation *op) { alive.insert(op); });
  SmallVector<Operation *> remaining;
  for (const auto &[op, reason] : reasons)
    if (alive.contains(op))
      remaining.push_back(op);
  if (remaining.empty())
    return;
  // Without the function's text, which emitError of an op would append.
  InFlightDiagnostic error = mlir::emitError(getOperation().getLoc())
                             << "cannot compile " << remaining.size()
                             << " of the model's nodes";
  for (Operation *op : remaining)
    error.attachNote(op->getLoc())
        << "node \"" << onnx::printableName(onnx::nodeName(op->getLoc()))
        << "\" (" << op->getName().stripDialect()
        << "): " << reasons.lookup(op);
  signalPassFailure();
}
