// Products of com.microsoft that quantize in one node, as DequantizeLinear,
// the product and QuantizeLinear: raising makes linears of codes of these.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Import/Onnx/GraphImporter.h"
#include "lib/Import/Onnx/ops/Upgrades.h"

using namespace mlir;

namespace qopt::import {

/// The one result of an operator of the default domain.
static StatusOr<Value> resultOf(NodeContext &node, StringRef name,
                                ArrayRef<Value> operands, NamedAttrList attrs,
                                Type hint) {
  auto op = node.create(name, operands, 1, std::move(attrs), hint);
  if (!op)
    return op.status();
  return (*op)->getResult(0);
}

static NamedAttrList axis(NodeContext &node, int64_t value) {
  NamedAttrList attrs;
  attrs.set("axis", node.builder().getI64IntegerAttr(value));
  return attrs;
}

/// C, 32-bit codes of scale alpha · a_scale · b_scale, one a column or one for
/// all.
static StatusOr<Value> qGemmBias(NodeContext &node, float alpha) {
  OpBuilder &b = node.builder();
  Type f32 = b.getF32Type();
  auto scale = resultOf(node, "Mul", {node.input(1), node.input(4)}, {}, f32);
  if (scale && alpha != 1) {
    auto scalar = RankedTensorType::get({}, f32);
    Value factor = node.importer().constant(
        node.location(), DenseElementsAttr::get(scalar, alpha));
    scale = resultOf(node, "Mul", {*scale, factor}, {}, f32);
  }
  if (!scale)
    return scale.status();
  auto type = dyn_cast<RankedTensorType>(node.input(6).getType());
  return resultOf(node, "DequantizeLinear",
                  {node.input(6), *scale, node.none()},
                  axis(node, type && type.getRank() == 1 ? 0 : 1), f32);
}

/// alpha · a · b + C, both sides dequantized, then quantized where y has a
/// scale.
Status buildQGemm(NodeContext &node) {
  OpBuilder &b = node.builder();
  Type f32 = b.getF32Type();
  float alpha = node.number("alpha", 1);
  bool transB = node.integer("transB", 0) != 0;
  auto left = resultOf(node, "DequantizeLinear",
                       {node.input(0), node.input(1), node.input(2)},
                       axis(node, 0), f32);
  auto right = resultOf(node, "DequantizeLinear",
                        {node.input(3), node.input(4), node.input(5)},
                        axis(node, transB ? 0 : 1), f32);
  if (!left || !right)
    return left ? right.status() : left.status();
  Value bias = node.none();
  if (node.hasInput(6)) {
    auto made = qGemmBias(node, alpha);
    if (!made)
      return made.status();
    bias = *made;
  }
  NamedAttrList attrs;
  attrs.set("alpha", b.getF32FloatAttr(alpha));
  attrs.set("transA", b.getBoolAttr(node.integer("transA", 0) != 0));
  attrs.set("transB", b.getBoolAttr(transB));
  auto y = resultOf(node, "Gemm", {*left, *right, bias}, attrs, f32);
  if (y && node.hasInput(7)) {
    if (!node.hasInput(8))
      return Status(StatusCode::BadModel,
                    "y_scale has no y_zero_point; expected both or neither");
    Type codes = cast<ShapedType>(node.input(8).getType()).getElementType();
    y = resultOf(node, "QuantizeLinear", {*y, node.input(7), node.input(8)},
                 axis(node, 1), codes);
  }
  if (!y)
    return y.status();
  node.output(*y);
  return {};
}

} // namespace qopt::import
