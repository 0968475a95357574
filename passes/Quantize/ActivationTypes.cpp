// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Quantize/ActivationTypes.h"
#include "dialects/Onnx/OnnxDialect.h"
#include "dialects/Onnx/OnnxOps.h"
#include "dialects/QOpt/QOptDialect.h"
#include "dialects/QOpt/QOptOps.h"

using namespace mlir;
using namespace qopt;

namespace {

class Rewriter {
public:
  Rewriter(func::FuncOp function, const passes::TypeChange &change)
      : function(function), change(change), builder(function.getContext()) {}

  void run();

private:
  /// The type with `to` in place of what changes; other types as they are.
  Type changed(Type type) const;
  bool isChanged(Value value) const {
    return changed(value.getType()) != value.getType();
  }
  ElementsAttr changed(ElementsAttr value) const;
  void castUses(Value value);
  void changeOperation(Operation *op);
  void castOperands();
  void castResults();

  func::FuncOp function;
  const passes::TypeChange &change;
  OpBuilder builder;
  /// Operands of kept operations that changed, and their types before.
  SmallVector<std::pair<OpOperand *, Type>> keptOperands;
};

} // namespace

Type Rewriter::changed(Type type) const {
  if (auto tensor = dyn_cast<RankedTensorType>(type))
    return change.changes(tensor.getElementType()) ? tensor.clone(change.to)
                                                   : type;
  return change.changes(type) ? Type(change.to) : type;
}

/// The same numbers in the other type; null where the attribute does not hold
/// them itself.
ElementsAttr Rewriter::changed(ElementsAttr value) const {
  auto dense = dyn_cast<DenseFPElementsAttr>(value);
  if (!dense)
    return {};
  return dense.mapValues(change.to, [&](const APFloat &element) {
    APFloat other = element;
    bool losesInfo;
    other.convert(change.to.getFloatSemantics(), APFloat::rmNearestTiesToEven,
                  &losesInfo);
    return other.bitcastToAPInt();
  });
}

/// True where an operation of the qopt dialect reads parameters (the scales of
/// a norm, a bias, frequencies), a rotary table or a mask, which kernels take
/// in any type.
static bool readsParameters(OpOperand &use) {
  auto type = dyn_cast<RankedTensorType>(use.get().getType());
  if (auto rotary = dyn_cast<ir::RotaryOp>(use.getOwner()))
    return use.getOperandNumber() > 0;
  if (auto attention = dyn_cast<ir::AttentionOp>(use.getOwner()))
    return use.get() == attention.getMask();
  if (auto gradient = dyn_cast<ir::AttentionGradientOp>(use.getOwner()))
    return use.get() == gradient.getMask();
  if (isa<ir::RmsNormOp, ir::LayerNormOp>(use.getOwner()))
    return use.getOperandNumber() > 0;
  if (!type || type.getRank() != 1)
    return false;
  if (auto wise = dyn_cast<ir::TokenWiseOpInterface>(use.getOwner()))
    return !wise.getFeatureRank(use);
  return isa<ir::QOptDialect>(use.getOwner()->getDialect());
}

/// Gives the users of a value that are not its parameters the same value in the
/// other type. `value` keeps its own.
void Rewriter::castUses(Value value) {
  SmallVector<OpOperand *> uses;
  for (OpOperand &use : value.getUses())
    if (!readsParameters(use) && !isa<func::ReturnOp>(use.getOwner()) &&
        !change.keeps(use.getOwner()))
      uses.push_back(&use);
  if (uses.empty())
    return;
  Value other;
  if (ElementsAttr constant; matchPattern(value, m_Constant(&constant)))
    if (ElementsAttr numbers = changed(constant))
      other = onnx::ConstantOp::create(
          builder, value.getLoc(),
          cast<RankedTensorType>(changed(value.getType())), numbers);
  if (!other)
    other = onnx::CastOp::create(builder, value.getLoc(),
                                 changed(value.getType()), value);
  for (OpOperand *use : uses)
    use->set(other);
}

/// Lets one operation compute in the other type. Its operands have it already.
void Rewriter::changeOperation(Operation *op) {
  for (Region &region : op->getRegions())
    for (BlockArgument argument : region.getArguments())
      argument.setType(changed(argument.getType()));
  for (NamedAttribute attribute :
       llvm::to_vector(op->getAttrs())) // values to fill with
    if (auto value = dyn_cast<ElementsAttr>(attribute.getValue()))
      if (change.changes(value.getElementType()))
        if (ElementsAttr other = changed(value))
          op->setAttr(attribute.getName(), other);
  for (OpResult result : op->getResults())
    result.setType(changed(result.getType()));
  auto cast = dyn_cast<onnx::CastOp>(op);
  if (cast && cast.getX().getType() == cast.getY().getType()) {
    cast.getY().replaceAllUsesWith(cast.getX());
    cast.erase();
  }
}

/// What a kept operation reads has the type that it had.
void Rewriter::castOperands() {
  for (auto [operand, type] : keptOperands)
    if (operand->get().getType() != type) {
      Operation *op = operand->getOwner();
      builder.setInsertionPoint(op);
      operand->set(
          onnx::CastOp::create(builder, op->getLoc(), type, operand->get()));
    }
}

/// A function gives its results in the types of its signature.
void Rewriter::castResults() {
  for (Block &block : function.getBody())
    if (auto end = dyn_cast<func::ReturnOp>(block.getTerminator()))
      for (auto [operand, type] :
           llvm::zip(end->getOpOperands(), function.getResultTypes()))
        if (operand.get().getType() != type) {
          builder.setInsertionPoint(end);
          operand.set(
              onnx::CastOp::create(builder, end.getLoc(), type, operand.get()));
        }
}

void Rewriter::run() {
  // Operations first, so that the casts below are not among them.
  SmallVector<Operation *> operations;
  SmallVector<Value> kept(function.getArguments());
  function.walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (op == function || isa<ir::WeightOp>(op) ||
        op->hasTrait<OpTrait::IsTerminator>())
      return;
    if (op->hasTrait<OpTrait::ConstantLike>() || change.keeps(op)) {
      llvm::append_range(kept, op->getResults());
      for (OpOperand &operand : op->getOpOperands())
        if (isChanged(operand.get()))
          keptOperands.emplace_back(&operand, operand.get().getType());
    } else {
      operations.push_back(op);
    }
  });
  for (Value value : kept)
    if (isChanged(value)) {
      builder.setInsertionPointAfterValue(value);
      castUses(value);
    }
  for (Operation *op : operations)
    changeOperation(op);
  castOperands();
  castResults();
}

bool qopt::passes::onlyMoves(Operation *op) {
  return isa<onnx::ReshapeOp, onnx::FlattenOp, onnx::TransposeOp,
             onnx::SqueezeOp, onnx::UnsqueezeOp, onnx::SliceOp, onnx::SplitOp,
             onnx::ConcatOp, onnx::ExpandOp, onnx::GatherOp, onnx::IdentityOp>(
      op);
}

void qopt::passes::changeActivations(func::FuncOp function,
                                     const TypeChange &change) {
  if (!function.isExternal())
    Rewriter(function, change).run();
}
