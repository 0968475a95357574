// The host computes in f32: its kernels know nothing narrower. In
// a model of f16 or bf16 every value between the inputs and the outputs becomes
// f32 here, once, instead of in every kernel. Weights, the cache, and vectors
// that a kernel reads as constants stay as the file has them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/OnnxDialect.h"
#include "dialects/Onnx/OnnxOps.h"
#include "dialects/QOpt/QOptDialect.h"
#include "dialects/QOpt/QOptOps.h"
#include "passes/Quantize/Passes.h"

namespace qopt::passes {
#define GEN_PASS_DEF_WIDENACTIVATIONSPASS
#include "passes/Quantize/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;

static bool isNarrow(Type element) {
  return element.isF16() || element.isBF16();
}

/// The type with f32 in place of f16 and bf16; other types as they are.
static Type widen(Type type) {
  if (auto tensor = dyn_cast<RankedTensorType>(type))
    return isNarrow(tensor.getElementType())
               ? tensor.clone(Float32Type::get(type.getContext()))
               : type;
  return isNarrow(type) ? Float32Type::get(type.getContext()) : type;
}

/// The same numbers as f32; null where the attribute does not hold them itself.
static ElementsAttr widen(ElementsAttr value) {
  auto dense = dyn_cast<DenseFPElementsAttr>(value);
  if (!dense)
    return {};
  return dense.mapValues(
      Float32Type::get(value.getContext()), [](const APFloat &element) {
        APFloat wide = element;
        bool losesInfo;
        wide.convert(APFloat::IEEEsingle(), APFloat::rmNearestTiesToEven,
                     &losesInfo);
        return wide.bitcastToAPInt();
      });
}

/// True where an operation of the qopt dialect reads a vector of parameters (a
/// scale, a bias, frequencies), which its kernel takes in any type.
static bool readsParameters(OpOperand &use) {
  auto type = dyn_cast<RankedTensorType>(use.get().getType());
  return type && type.getRank() == 1 &&
         isa<ir::QOptDialect>(use.getOwner()->getDialect());
}

/// Gives the users of a narrow value that are not its parameters the same value
/// in f32. `value` keeps its type.
static void castUses(Value value, OpBuilder &builder) {
  auto toCast = llvm::make_filter_range(
      value.getUses(), [](OpOperand &use) { return !readsParameters(use); });
  SmallVector<OpOperand *> uses;
  for (OpOperand &use : toCast)
    uses.push_back(&use);
  if (uses.empty())
    return;
  Value wide;
  if (ElementsAttr constant; matchPattern(value, m_Constant(&constant)))
    if (ElementsAttr numbers = widen(constant))
      wide = onnx::ConstantOp::create(
          builder, value.getLoc(),
          cast<RankedTensorType>(widen(value.getType())), numbers);
  if (!wide)
    wide = onnx::CastOp::create(builder, value.getLoc(), widen(value.getType()),
                                value);
  for (OpOperand *use : uses)
    use->set(wide);
}

/// Lets one operation compute in f32. Its operands are wide already.
static void widenOperation(Operation *op) {
  for (Region &region : op->getRegions())
    for (BlockArgument argument : region.getArguments())
      argument.setType(widen(argument.getType()));
  for (NamedAttribute attribute :
       llvm::to_vector(op->getAttrs())) // values to fill with
    if (auto value = dyn_cast<ElementsAttr>(attribute.getValue()))
      if (isNarrow(value.getElementType()))
        if (ElementsAttr wide = widen(value))
          op->setAttr(attribute.getName(), wide);
  for (OpResult result : op->getResults())
    result.setType(widen(result.getType()));
  auto cast = dyn_cast<onnx::CastOp>(op);
  if (cast && cast.getX().getType() == cast.getY().getType()) {
    cast.getY().replaceAllUsesWith(cast.getX());
    cast.erase();
  }
}

namespace {

struct WidenActivations
    : passes::impl::WidenActivationsPassBase<WidenActivations> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isExternal())
      return;
    OpBuilder builder(function.getContext());
    // Operations first, so that the casts below are not among them.
    SmallVector<Operation *> narrow, constants;
    function.walk<WalkOrder::PreOrder>([&](Operation *op) {
      bool isConstant = op->hasTrait<OpTrait::ConstantLike>();
      if (op != function && !isa<ir::WeightOp>(op) &&
          !op->hasTrait<OpTrait::IsTerminator>())
        (isConstant ? constants : narrow).push_back(op);
    });
    for (BlockArgument argument : function.getArguments())
      if (widen(argument.getType()) != argument.getType()) {
        builder.setInsertionPointToStart(argument.getOwner());
        castUses(argument, builder);
      }
    for (Operation *constant : constants)
      if (Value value = constant->getResult(0);
          widen(value.getType()) != value.getType()) {
        builder.setInsertionPointAfter(constant);
        castUses(value, builder);
      }
    for (Operation *op : narrow)
      widenOperation(op);
    narrowResults(function, builder);
  }

  /// A graph gives its results in the types of its signature.
  void narrowResults(func::FuncOp function, OpBuilder &builder) {
    for (Block &block : function.getBody())
      if (auto end = dyn_cast<func::ReturnOp>(block.getTerminator()))
        for (auto [operand, type] :
             llvm::zip(end->getOpOperands(), function.getResultTypes()))
          if (operand.get().getType() != type) {
            builder.setInsertionPoint(end);
            operand.set(onnx::CastOp::create(builder, end.getLoc(), type,
                                             operand.get()));
          }
  }
};

} // namespace
