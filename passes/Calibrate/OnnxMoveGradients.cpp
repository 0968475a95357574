// Onnx operators that move, join or cut: elements keep their values.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/OnnxOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "passes/Calibrate/Gradients.h"
#include "passes/Raise/OnnxBuilder.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx;

/// The sizes of `x`, as a shape to reshape to.
static Value shapeOf(Value x, GradientBuilder &build) {
  auto type = cast<RankedTensorType>(x.getType());
  return ShapeOp::create(
      build.b, build.loc,
      RankedTensorType::get({type.getRank()}, build.b.getI64Type()), x,
      build.b.getI64IntegerAttr(0), IntegerAttr());
}

namespace {

/// Reshape, Flatten, Squeeze and Unsqueeze: the elements in another shape.
template <typename Op>
struct ViewGradient : UnaryGradientModel<ViewGradient<Op>, Op> {
  Value gradientOf(Op op, Value gradient, GradientBuilder &build) const {
    return ReshapeOp::create(
        build.b, build.loc, GradientBuilder::gradientType(op.getData()),
        gradient, shapeOf(op.getData(), build), build.b.getBoolAttr(true));
  }
};

struct TransposeGradient : UnaryGradientModel<TransposeGradient, TransposeOp> {
  Value gradientOf(TransposeOp op, Value gradient,
                   GradientBuilder &build) const {
    SmallVector<int64_t> inverse(op.getPerm().size());
    for (auto [place, axis] : llvm::enumerate(op.getPerm()))
      inverse[axis] = place;
    return build.typedFor(
        op.getData(),
        OnnxBuilder(build.b, build.loc).transpose(gradient, inverse));
  }
};

struct IdentityGradient : UnaryGradientModel<IdentityGradient, IdentityOp> {
  Value gradientOf(IdentityOp op, Value gradient,
                   GradientBuilder &build) const {
    return build.typedFor(op.getData(), gradient);
  }
};

struct ExpandGradient : UnaryGradientModel<ExpandGradient, ExpandOp> {
  Value gradientOf(ExpandOp op, Value gradient, GradientBuilder &build) const {
    return build.sumTo(op.getData(), gradient);
  }
};

/// Each part gets its piece.
struct ConcatGradients : GradientModel<ConcatGradients, ConcatOp> {
  Gradients gradientsOf(ConcatOp op, Value gradient,
                        const llvm::BitVector &wanted,
                        GradientBuilder &build) const {
    auto type = cast<RankedTensorType>(op.getResult().getType());
    int64_t axis =
        op.getAxis() < 0 ? op.getAxis() + type.getRank() : op.getAxis();
    SmallVector<Type> types;
    SmallVector<Value> sizes;
    for (Value part : op.getInputs()) {
      types.push_back(GradientBuilder::gradientType(part));
      sizes.push_back(ShapeOp::create(
          build.b, build.loc, RankedTensorType::get({1}, build.b.getI64Type()),
          part, build.b.getI64IntegerAttr(axis),
          build.b.getI64IntegerAttr(axis + 1)));
    }
    OnnxBuilder onnx(build.b, build.loc);
    auto split =
        SplitOp::create(build.b, build.loc, types, gradient,
                        onnx.concat(sizes, 0), build.b.getI64IntegerAttr(axis));
    return SmallVector<Value>(split.getResults());
  }
};

/// The pieces' gradients joined; zeros where nothing depends on a piece.
struct SplitGradient
    : ir::DifferentiableOpInterface::ExternalModel<SplitGradient, SplitOp> {
  bool isDifferentiable(Operation *, OpOperand &operand) const {
    return operand.getOperandNumber() == 0;
  }
  Gradients buildGradients(Operation *op, OpBuilder &builder,
                           ArrayRef<Value> gradients,
                           const llvm::BitVector &) const {
    auto split = cast<SplitOp>(op);
    GradientBuilder build(builder, op->getLoc());
    SmallVector<Value> pieces(gradients), result(op->getNumOperands());
    for (auto [piece, gradient] : llvm::zip(split.getPieces(), pieces))
      if (!gradient)
        gradient = build.elementwise(
            piece, piece, [](ArrayRef<Real> x) { return x[0].constant(0); });
    Value data = split.getData();
    result[0] = ConcatOp::create(builder, op->getLoc(),
                                 GradientBuilder::gradientType(data), pieces,
                                 builder.getI64IntegerAttr(split.getAxis()));
    return result;
  }
};

/// Zeros around the gradient of a slice by constants.
struct SliceGradient : UnaryGradientModel<SliceGradient, SliceOp> {
  Value gradientOf(SliceOp op, Value gradient, GradientBuilder &build) const {
    auto type = cast<RankedTensorType>(op.getData().getType());
    auto cut = cast<RankedTensorType>(op.getResult().getType());
    auto starts = constantIntegers(op.getStarts());
    auto axes =
        isAbsent(op.getAxes()) ? firstAxes(op) : constantIntegers(op.getAxes());
    auto steps = isAbsent(op.getSteps())
                     ? SmallVector<int64_t>(type.getRank(), 1)
                     : constantIntegers(op.getSteps());
    bool fits = starts && axes && steps &&
                llvm::all_of(*steps, [](int64_t step) { return step == 1; });
    SmallVector<int64_t> pads(2 * type.getRank());
    for (size_t i = 0; fits && i < axes->size(); ++i) {
      int64_t axis = (*axes)[i] < 0 ? (*axes)[i] + type.getRank() : (*axes)[i];
      int64_t whole = type.getDimSize(axis), size = cut.getDimSize(axis);
      fits = !ShapedType::isDynamic(whole) && !ShapedType::isDynamic(size);
      int64_t start = (*starts)[i] < 0 ? (*starts)[i] + whole : (*starts)[i];
      start = std::clamp<int64_t>(start, 0, whole);
      pads[axis] = start;
      pads[type.getRank() + axis] = whole - start - size;
    }
    if (!fits) {
      op.emitOpError("cuts at a place that is no constant, which is not "
                     "differentiated");
      return {};
    }
    OnnxBuilder onnx(build.b, build.loc);
    return PadOp::create(build.b, build.loc,
                         GradientBuilder::gradientType(op.getData()), gradient,
                         onnx.integers(pads), onnx.none(), onnx.none(),
                         build.b.getStringAttr("constant"));
  }

private:
  static std::optional<SmallVector<int64_t>> firstAxes(SliceOp op) {
    auto starts = constantIntegers(op.getStarts());
    if (!starts)
      return std::nullopt;
    return llvm::to_vector(llvm::seq<int64_t>(0, starts->size()));
  }
};

/// Zeros beside the gradient of the slice that one constant index has taken, as
/// classifiers take the first token.
struct GatherGradient : UnaryGradientModel<GatherGradient, GatherOp> {
  Value gradientOf(GatherOp op, Value gradient, GradientBuilder &build) const {
    auto type = cast<RankedTensorType>(op.getData().getType());
    auto indices = cast<RankedTensorType>(op.getIndices().getType());
    int64_t axis =
        op.getAxis() < 0 ? op.getAxis() + type.getRank() : op.getAxis();
    auto taken = constantIntegers(op.getIndices());
    if (taken && taken->size() == 1 && taken->front() < 0 &&
        !type.isDynamicDim(unsigned(axis)))
      taken->front() += type.getDimSize(unsigned(axis));
    if (!taken || taken->size() != 1 || taken->front() < 0 ||
        indices.getRank() > 1) {
      op.emitOpError("gathers at places other than one that is constant and "
                     "counts from the first, which is not differentiated");
      return {};
    }
    if (indices.getRank() == 0)
      gradient = OnnxBuilder(build.b, build.loc).unsqueeze(gradient, {axis});
    return build.elementwiseRaw(
        op.getData(), gradient, [&](OpBuilder &inner, ValueRange e) -> Value {
          Value place = linalg::IndexOp::create(inner, build.loc, axis);
          Value wanted =
              arith::ConstantIndexOp::create(inner, build.loc, taken->front());
          Value isTaken = arith::CmpIOp::create(
              inner, build.loc, arith::CmpIPredicate::eq, place, wanted);
          Value zero = Real{&inner, build.loc, e[0]}.constant(0).value;
          return arith::SelectOp::create(inner, build.loc, isTaken, e[0], zero);
        });
  }
};

} // namespace

void qopt::attachOnnxMoveGradients(MLIRContext &context) {
  ReshapeOp::attachInterface<ViewGradient<ReshapeOp>>(context);
  FlattenOp::attachInterface<ViewGradient<FlattenOp>>(context);
  SqueezeOp::attachInterface<ViewGradient<SqueezeOp>>(context);
  UnsqueezeOp::attachInterface<ViewGradient<UnsqueezeOp>>(context);
  TransposeOp::attachInterface<TransposeGradient>(context);
  IdentityOp::attachInterface<IdentityGradient>(context);
  ExpandOp::attachInterface<ExpandGradient>(context);
  ConcatOp::attachInterface<ConcatGradients>(context);
  SplitOp::attachInterface<SplitGradient>(context);
  SliceOp::attachInterface<SliceGradient>(context);
  GatherOp::attachInterface<GatherGradient>(context);
}
