// Convolutions of codes: the sum of integers without error, zero points taken
// off ahead, so that padding is zero.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Import/Onnx/GraphImporter.h"
#include "lib/Import/Onnx/ops/NodeBuilder.h"
#include "lib/Import/Onnx/ops/Upgrades.h"

using namespace mlir;

namespace qopt::import {

static int64_t rankOf(Value value) {
  return cast<RankedTensorType>(value.getType()).getRank();
}

namespace {
/// Inputs of ConvInteger or QLinearConv by what they are; absent zero points
/// have type none.
struct Codes {
  Value x, xZero, w, wZero;
};

class ConvolutionBuilder {
public:
  explicit ConvolutionBuilder(NodeContext &node) : b(node), node(node) {}
  NodeBuilder b;

  /// The sum over a window, i32.
  Value sum(const Codes &codes, NamedAttrList attrs) {
    return b.create("Conv",
                    {centred(codes.x, codes.xZero),
                     centred(codes.w, codes.wZero), b.none()},
                    std::move(attrs), b.i32());
  }
  /// One value for each output channel [M] as [M, 1, …], with `axes` axes
  /// behind; one for all stays as it is.
  Value perChannel(Value values, int64_t axes) {
    if (!values || onnx::isAbsent(values) || rankOf(values) == 0)
      return values;
    SmallVector<int64_t> behind;
    for (int64_t axis = 1; axis <= axes; ++axis)
      behind.push_back(axis);
    return b.create("Unsqueeze", {values, node.constant(behind)});
  }

private:
  Value centred(Value codes, Value zero) {
    Value wide = b.cast(codes, b.i32());
    if (onnx::isAbsent(zero))
      return wide;
    Value offset = perChannel(b.cast(zero, b.i32()), rankOf(codes) - 1);
    return b.create("Sub", {wide, offset});
  }

  NodeContext &node;
};
} // namespace

/// Attributes of the Conv in place of the node.
static StatusOr<NamedAttrList> windowAttributes(NodeContext &node,
                                                Value weights) {
  auto attrs = convolutionWindow(node, weights);
  if (!attrs)
    return attrs;
  OpBuilder &b = node.builder();
  attrs->set("group", b.getI64IntegerAttr(node.integer("group", 1)));
  attrs->set("auto_pad", b.getStringAttr(node.text("auto_pad", "NOTSET")));
  return attrs;
}

Status buildConvInteger(NodeContext &node) {
  auto attrs = windowAttributes(node, node.input(1));
  if (!attrs)
    return attrs.status();
  ConvolutionBuilder c(node);
  Codes codes{node.input(0), c.b.input(2), node.input(1), c.b.input(3)};
  Value y = c.sum(codes, *attrs);
  return c.b.finish({y});
}

/// round((sum + B) · (x_scale · w_scale / y_scale)) + y_zero_point: the factor
/// is one number, as onnxruntime has it.
Status buildQLinearConv(NodeContext &node) {
  auto attrs = windowAttributes(node, node.input(3));
  if (!attrs)
    return attrs.status();
  ConvolutionBuilder c(node);
  int64_t spatial = rankOf(node.input(3)) - 2;
  Value sum = c.sum(
      {node.input(0), node.input(2), node.input(3), node.input(5)}, *attrs);
  if (node.hasInput(8))
    sum = c.b.create("Add", {sum, c.perChannel(node.input(8), spatial)});
  Value factor = c.b.create("Mul", {node.input(1), node.input(4)});
  factor = c.b.create("Div", {factor, node.input(6)});
  factor = c.perChannel(factor, spatial);
  Value y = c.b.create("Mul", {c.b.cast(sum, c.b.f32()), factor});
  auto scalar = RankedTensorType::get({}, c.b.f32());
  Value one = node.importer().constant(node.location(),
                                       DenseElementsAttr::get(scalar, 1.0f));
  Value zero = node.input(7);
  Type type = cast<ShapedType>(zero.getType()).getElementType();
  if (rankOf(zero) > 0)
    zero = c.b.create("Squeeze", {zero, node.constant({0})});
  y = c.b.create("QuantizeLinear", {y, one, zero}, c.b.axis(1), type);
  return c.b.finish({y});
}

} // namespace qopt::import
