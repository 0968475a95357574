// Arithmetic on every element of tensors: arith and math operations, and the
// linalg.generic that raising and lowering make of it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/Calibrate/Gradients.h"
#include "passes/Calibrate/ScalarGradients.h"

using namespace mlir;
using namespace qopt;

using utils::IteratorType;

/// `gradient` itself where the body of `made` only copies its last input.
static Value withoutCopy(Value made, Value gradient) {
  auto generic = made.getDefiningOp<linalg::GenericOp>();
  if (!generic || made.getType() != gradient.getType())
    return made;
  Block &body = *generic.getBody();
  unsigned last = generic.getNumDpsInputs() - 1;
  SmallVector<AffineMap> maps = generic.getIndexingMapsArray();
  bool copies = body.getTerminator()->getOperand(0) == body.getArgument(last) &&
                maps[last] == maps.back();
  if (!copies)
    return made;
  generic->erase();
  return gradient;
}

namespace {

/// An operation on tensors of one shape, differentiated as on their elements.
template <typename Op>
struct ElementwiseGradients : GradientModel<ElementwiseGradients<Op>, Op> {
  Gradients gradientsOf(Op op, Value gradient, const llvm::BitVector &wanted,
                        GradientBuilder &build) const {
    SmallVector<Value> inputs(op->getOperands()), gradients(inputs.size());
    inputs.push_back(gradient);
    bool complete = true;
    for (unsigned i : wanted.set_bits()) {
      Type element = getElementTypeOrSelf(op->getOperand(i).getType());
      Value made = build.elementwiseRaw(
          op->getOperand(i), inputs,
          [&](OpBuilder &inner, ValueRange elements) -> Value {
            Operation *scalar = inner.create(
                build.loc, op->getName().getIdentifier(), elements.drop_back(),
                getElementTypeOrSelf(op->getResult(0).getType()),
                op->getAttrs());
            auto terms = scalarGradients(
                scalar, Real{&inner, build.loc, elements.back()});
            complete &= succeeded(terms) && (*terms)[i];
            return complete ? Real{&inner, build.loc, (*terms)[i]}.as(element)
                            : elements.back();
          });
      gradients[i] = withoutCopy(made, gradient);
    }
    if (!complete)
      return op->emitOpError("has no derivative");
    return gradients;
  }
};

/// Parallel loops over all elements of the result; an input that is repeated
/// gets the sum over its repetitions.
struct GenericGradients : GradientModel<GenericGradients, linalg::GenericOp> {
  bool isDifferentiable(Operation *op, OpOperand &operand) const {
    return cast<linalg::GenericOp>(op).isDpsInput(&operand);
  }
  Gradients gradientsOf(linalg::GenericOp op, Value gradient,
                        const llvm::BitVector &wanted,
                        GradientBuilder &build) const {
    bool perElement =
        op->getNumResults() == 1 &&
        op.getNumParallelLoops() == op.getNumLoops() &&
        op.getIndexingMapsArray().back().isIdentity() &&
        op.getMatchingBlockArgument(op.getDpsInitOperand(0)).use_empty() &&
        !op.hasIndexSemantics();
    if (!perElement)
      return op.emitOpError("computes more than a function of each element, "
                            "which is not differentiated");
    SmallVector<Value> gradients(op->getNumOperands());
    for (unsigned i : wanted.set_bits()) {
      gradients[i] = ofInput(op, i, gradient, build);
      if (!gradients[i])
        return failure();
    }
    return gradients;
  }

private:
  static Value ofInput(linalg::GenericOp op, unsigned input, Value gradient,
                       GradientBuilder &build);
};

} // namespace

Value GenericGradients::ofInput(linalg::GenericOp op, unsigned input,
                                Value gradient, GradientBuilder &build) {
  OpBuilder &b = build.b;
  Value operand = op->getOperand(input);
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  AffineMap own = maps[input]; // the result's map becomes the gradient's
  SmallVector<IteratorType> kinds;
  for (int64_t loop = 0; loop < int64_t(op.getNumLoops()); ++loop)
    kinds.push_back(own.isFunctionOfDim(loop) ? IteratorType::parallel
                                              : IteratorType::reduction);
  bool sums = llvm::is_contained(kinds, IteratorType::reduction);
  maps.push_back(own);
  SmallVector<Value> inputs(op.getDpsInputs());
  inputs.push_back(gradient);
  Type element = GradientBuilder::gradientType(operand).getElementType();
  Value init = tensor::EmptyOp::create(
      b, build.loc, tensor::getMixedSizes(b, build.loc, operand), element);
  if (sums) {
    Value zero =
        arith::ConstantOp::create(b, build.loc, b.getFloatAttr(element, 0));
    init = linalg::FillOp::create(b, build.loc, zero, init).getResult(0);
  }
  Operation *obstacle = nullptr;
  auto made = linalg::GenericOp::create(
      b, build.loc, init.getType(), inputs, init, maps, kinds,
      [&](OpBuilder &inner, Location loc, ValueRange elements) {
        IRMapping mapping;
        for (auto [from, to] :
             llvm::zip(op.getBody()->getArguments().drop_back(), elements))
          mapping.map(from, to);
        Real arrived{&inner, loc, elements.drop_back().back()};
        Value term =
            bodyGradient(*op.getBody(), input, arrived, mapping, obstacle);
        if (!term)
          term = elements.back();
        else if (sums)
          term = arith::AddFOp::create(inner, loc, elements.back(), term);
        linalg::YieldOp::create(inner, loc, term);
      });
  if (obstacle) {
    obstacle->emitOpError("has no derivative");
    return {};
  }
  return withoutCopy(made.getResult(0), gradient);
}

template <typename... Ops> static void attachAll(MLIRContext &context) {
  (Ops::template attachInterface<ElementwiseGradients<Ops>>(context), ...);
}

void qopt::attachArithGradients(MLIRContext &context) {
  attachAll<arith::AddFOp, arith::SubFOp, arith::MulFOp, arith::DivFOp,
            arith::NegFOp, arith::ExtFOp, arith::TruncFOp, arith::MaximumFOp,
            arith::MinimumFOp, arith::MaxNumFOp, arith::MinNumFOp, math::ExpOp,
            math::LogOp, math::SqrtOp, math::RsqrtOp, math::TanhOp, math::ErfOp,
            math::SinOp, math::CosOp, math::AbsFOp, math::PowFOp>(context);
}

void qopt::attachLinalgGradients(MLIRContext &context) {
  linalg::GenericOp::attachInterface<GenericGradients>(context);
}
