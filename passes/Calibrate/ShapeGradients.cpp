// Views and slices: elements keep their values, so gradients go back the way
// that they came.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/Calibrate/Gradients.h"
#include "passes/Raise/OnnxBuilder.h"

using namespace mlir;
using namespace qopt;

namespace {

struct ExpandGradient
    : UnaryGradientModel<ExpandGradient, tensor::ExpandShapeOp> {
  Value gradientOf(tensor::ExpandShapeOp op, Value gradient,
                   GradientBuilder &build) const {
    return tensor::CollapseShapeOp::create(build.b, build.loc, op.getSrcType(),
                                           gradient,
                                           op.getReassociationIndices());
  }
};

struct CollapseGradient
    : UnaryGradientModel<CollapseGradient, tensor::CollapseShapeOp> {
  Value gradientOf(tensor::CollapseShapeOp op, Value gradient,
                   GradientBuilder &build) const {
    return tensor::ExpandShapeOp::create(
        build.b, build.loc, op.getSrcType(), gradient,
        op.getReassociationIndices(),
        tensor::getMixedSizes(build.b, build.loc, op.getSrc()));
  }
};

struct CastGradient : UnaryGradientModel<CastGradient, tensor::CastOp> {
  Value gradientOf(tensor::CastOp op, Value gradient,
                   GradientBuilder &build) const {
    return build.typedFor(op.getSource(), gradient);
  }
};

/// Zeros around the gradient of the slice.
struct SliceGradient
    : UnaryGradientModel<SliceGradient, tensor::ExtractSliceOp> {
  Value gradientOf(tensor::ExtractSliceOp op, Value gradient,
                   GradientBuilder &build) const {
    RankedTensorType source = op.getSourceType();
    SmallVector<int64_t> before, behind;
    bool fits =
        op.hasUnitStride() && op.getType().getRank() == source.getRank();
    for (int64_t axis = 0; fits && axis < source.getRank(); ++axis) {
      int64_t offset = op.getStaticOffsets()[axis],
              size = op.getStaticSizes()[axis];
      int64_t whole = source.getDimSize(axis);
      if (ShapedType::isDynamic(whole) || ShapedType::isDynamic(size)) {
        // All of an axis, or an error of the call.
        fits = offset == 0;
        build.requireSame(op.getSource(), axis, op.getResult(), axis);
        size = whole;
      }
      fits &= !ShapedType::isDynamic(offset);
      before.push_back(offset);
      behind.push_back(whole - offset - size);
    }
    if (!fits) {
      op.emitOpError("cuts at a place that is no constant, which is not "
                     "differentiated");
      return {};
    }
    before.append(behind);
    onnx::OnnxBuilder onnx(build.b, build.loc);
    return onnx::PadOp::create(build.b, build.loc,
                               GradientBuilder::gradientType(op.getSource()),
                               gradient, onnx.integers(before), onnx.none(),
                               onnx.none(), build.b.getStringAttr("constant"));
  }
};

} // namespace

void qopt::attachShapeGradients(MLIRContext &context) {
  tensor::ExpandShapeOp::attachInterface<ExpandGradient>(context);
  tensor::CollapseShapeOp::attachInterface<CollapseGradient>(context);
  tensor::CastOp::attachInterface<CastGradient>(context);
  tensor::ExtractSliceOp::attachInterface<SliceGradient>(context);
}
