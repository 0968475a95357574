// Onnx operators on every element, with NumPy broadcasting, and sums and means
// along axes. x and z are the operands, y the result, g its gradient.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/OnnxOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "passes/Calibrate/Gradients.h"
#include "passes/Raise/OnnxBuilder.h"

#include <numbers>

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx;

namespace {

using UnaryRule = Real (*)(Real x, Real y, Real g);
using BinaryRule = Real (*)(Real x, Real z, Real y, Real g);

template <typename Op, UnaryRule rule>
struct FunctionGradient : UnaryGradientModel<FunctionGradient<Op, rule>, Op> {
  Value gradientOf(Op op, Value gradient, GradientBuilder &build) const {
    return build.elementwise(
        op.getX(), {op.getX(), op.getY(), gradient},
        [](ArrayRef<Real> e) { return rule(e[0], e[1], e[2]); });
  }
};

/// `first` and `second` are the gradients of one element of each operand, which
/// are summed where it is repeated.
template <typename Op, BinaryRule first, BinaryRule second>
struct BinaryGradients : GradientModel<BinaryGradients<Op, first, second>, Op> {
  Gradients gradientsOf(Op op, Value gradient, const llvm::BitVector &wanted,
                        GradientBuilder &build) const {
    SmallVector<Value> gradients(2);
    build.requireFits(op.getA(), op.getC());
    build.requireFits(op.getB(), op.getC());
    for (unsigned i : wanted.set_bits()) {
      BinaryRule rule = i == 0 ? first : second;
      Value terms = build.elementwise(
          op.getC(), {op.getA(), op.getB(), op.getC(), gradient},
          [&](ArrayRef<Real> e) { return rule(e[0], e[1], e[2], e[3]); });
      gradients[i] = build.sumTo(op->getOperand(i), terms);
    }
    return gradients;
  }
};

/// Sums pass the gradient itself on.
struct AddGradients : GradientModel<AddGradients, AddOp> {
  Gradients gradientsOf(AddOp op, Value gradient, const llvm::BitVector &wanted,
                        GradientBuilder &build) const {
    SmallVector<Value> gradients(2);
    for (unsigned i : wanted.set_bits())
      gradients[i] = build.sumTo(op->getOperand(i), gradient);
    return gradients;
  }
};

struct CastGradient : UnaryGradientModel<CastGradient, CastOp> {
  Value gradientOf(CastOp op, Value gradient, GradientBuilder &build) const {
    return build.typedFor(op.getX(), gradient);
  }
};

struct WhereGradients : GradientModel<WhereGradients, WhereOp> {
  bool isDifferentiable(Operation *, OpOperand &operand) const {
    return operand.getOperandNumber() > 0;
  }
  Gradients gradientsOf(WhereOp op, Value gradient,
                        const llvm::BitVector &wanted,
                        GradientBuilder &build) const {
    SmallVector<Value> gradients(3);
    build.requireFits(op.getCondition(), op.getResult());
    for (unsigned i : wanted.set_bits()) {
      Value terms = build.elementwiseRaw(
          op.getResult(), {op.getCondition(), gradient},
          [&](OpBuilder &inner, ValueRange e) -> Value {
            Value zero = Real{&inner, build.loc, e[1]}.constant(0).value;
            return arith::SelectOp::create(inner, build.loc, e[0],
                                           i == 1 ? e[1] : zero,
                                           i == 1 ? zero : e[1]);
          });
      gradients[i] = build.sumTo(op->getOperand(i), terms);
    }
    return gradients;
  }
};

/// ReduceSum and ReduceMean: every element that was summed gets the gradient of
/// the sum, divided by their number for a mean.
template <typename Op, bool isMean>
struct ReduceGradient : UnaryGradientModel<ReduceGradient<Op, isMean>, Op> {
  Value gradientOf(Op op, Value gradient, GradientBuilder &build) const {
    auto type = cast<RankedTensorType>(op.getData().getType());
    auto axes = constantIntegers(op.getAxes());
    SmallVector<int64_t> kept(type.getShape());
    int64_t count = 1;
    bool fits = axes && !axes->empty();
    for (size_t i = 0; fits && i < axes->size(); ++i) {
      int64_t axis = (*axes)[i] < 0 ? (*axes)[i] + type.getRank() : (*axes)[i];
      count *= type.getDimSize(axis);
      fits = !type.isDynamicDim(axis);
      kept[axis] = 1;
    }
    if (!fits) {
      op.emitOpError("reduces axes that are not constant or of a size that is "
                     "not known, which is not differentiated");
      return {};
    }
    if (!op.getKeepdims()) {
      SmallVector<int64_t> places;
      for (int64_t axis : *axes)
        places.push_back(axis < 0 ? axis + type.getRank() : axis);
      llvm::sort(places);
      gradient = OnnxBuilder(build.b, build.loc).unsqueeze(gradient, places);
    }
    return build.elementwise(op.getData(), gradient, [&](ArrayRef<Real> e) {
      return isMean ? e[0] / double(count) : e[0];
    });
  }
};

} // namespace

#define QOPT_RULE(Op, formula)                                                 \
  Op::attachInterface<FunctionGradient<Op, [](Real x, Real y, Real g) {        \
    (void)x, (void)y;                                                          \
    return formula;                                                            \
  }>>(context)

static void attachFunctions(MLIRContext &context) {
  QOPT_RULE(NegOp, -g);
  QOPT_RULE(ExpOp, g * y);
  QOPT_RULE(LogOp, g / x);
  QOPT_RULE(SqrtOp, g / (y + y));
  QOPT_RULE(ReciprocalOp, -(g * y * y));
  QOPT_RULE(TanhOp, g * (1 - y * y));
  QOPT_RULE(SigmoidOp, g * y * (1 - y));
  QOPT_RULE(SoftplusOp, g * sigmoid(x));
  QOPT_RULE(SinOp, g * cos(x));
  QOPT_RULE(CosOp, -(g * sin(x)));
  QOPT_RULE(ErfOp, g * exp(-(x * x)) * (2 * std::numbers::inv_sqrtpi));
  QOPT_RULE(ReluOp, selectGreater(x, x.constant(0), g, g.constant(0)));
  QOPT_RULE(AbsOp,
            selectGreater(x, x.constant(0), g,
                          selectGreater(x.constant(0), x, -g, g.constant(0))));
}

#undef QOPT_RULE

static Real times(Real, Real z, Real, Real g) { return g * z; }
static Real timesFirst(Real x, Real, Real, Real g) { return g * x; }
static Real self(Real, Real, Real, Real g) { return g; }
static Real negated(Real, Real, Real, Real g) { return -g; }
static Real divided(Real, Real z, Real, Real g) { return g / z; }
static Real dividedBy(Real, Real z, Real y, Real g) { return -(g * y / z); }
static Real powerBase(Real x, Real z, Real, Real g) {
  return g * z * power(x, z + -1.0);
}
static Real powerExponent(Real x, Real, Real y, Real g) {
  return g * y * log(x);
}

void qopt::attachOnnxGradients(MLIRContext &context) {
  attachFunctions(context);
  AddOp::attachInterface<AddGradients>(context);
  SubOp::attachInterface<BinaryGradients<SubOp, self, negated>>(context);
  MulOp::attachInterface<BinaryGradients<MulOp, times, timesFirst>>(context);
  DivOp::attachInterface<BinaryGradients<DivOp, divided, dividedBy>>(context);
  PowOp::attachInterface<BinaryGradients<PowOp, powerBase, powerExponent>>(
      context);
  CastOp::attachInterface<CastGradient>(context);
  WhereOp::attachInterface<WhereGradients>(context);
  ReduceSumOp::attachInterface<ReduceGradient<ReduceSumOp, false>>(context);
  ReduceMeanOp::attachInterface<ReduceGradient<ReduceMeanOp, true>>(context);
}
