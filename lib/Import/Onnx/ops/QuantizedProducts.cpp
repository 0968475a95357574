// Products of com.microsoft that quantize in one node, as the standard
// operators that they stand for: raising makes linears of codes of these.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Import/Onnx/GraphImporter.h"
#include "lib/Import/Onnx/ops/NodeBuilder.h"
#include "lib/Import/Onnx/ops/Upgrades.h"

using namespace mlir;

namespace qopt::import {

/// C, 32-bit codes of scale alpha · a_scale · b_scale, one a column or one for
/// all.
static Value qGemmBias(NodeContext &node, NodeBuilder &b, float alpha) {
  Value scale = b.create("Mul", {node.input(1), node.input(4)});
  if (alpha != 1) {
    scale = b.create("Mul", {scale, node.scalar(alpha)});
  }
  auto type = dyn_cast<RankedTensorType>(node.input(6).getType());
  return b.create("DequantizeLinear", {node.input(6), scale, b.none()},
                  b.axis(type && type.getRank() == 1 ? 0 : 1));
}

/// alpha · a · b + C, both sides dequantized, then quantized where y has a
/// scale.
Status buildQGemm(NodeContext &node) {
  OpBuilder &builder = node.builder();
  NodeBuilder b(node);
  float alpha = node.number("alpha", 1);
  bool transA = node.integer("transA", 0) != 0;
  bool transB = node.integer("transB", 0) != 0;
  if (node.hasInput(7) && !node.hasInput(8))
    return Status(StatusCode::BadModel,
                  "y_scale has no y_zero_point; expected both or neither");
  Value left =
      b.create("DequantizeLinear",
               {node.input(0), node.input(1), node.input(2)}, b.axis(0));
  Value right = b.create("DequantizeLinear",
                         {node.input(3), node.input(4), node.input(5)},
                         b.axis(transB ? 0 : 1));
  Value bias = node.hasInput(6) ? qGemmBias(node, b, alpha) : b.none();
  NamedAttrList attrs;
  attrs.set("alpha", builder.getF32FloatAttr(alpha));
  attrs.set("transA", builder.getBoolAttr(transA));
  attrs.set("transB", builder.getBoolAttr(transB));
  Value y = b.create("Gemm", {left, right, bias}, attrs);
  if (node.hasInput(7)) {
    Type codes = cast<ShapedType>(node.input(8).getType()).getElementType();
    y = b.create("QuantizeLinear", {y, node.input(7), node.input(8)}, b.axis(1),
                 codes);
  }
  return b.finish({y});
}

namespace {
/// x [.., M, K] and w [.., K, N] with their scales and zero points; absent ones
/// have type none. The bias is of floats.
struct CodeProduct {
  Value x, xScale, xZero, w, wScale, wZero, bias;
};
} // namespace

/// (x - xZero)(w - wZero) · (xScale · wScale) + bias, f32.
static Value scaledProduct(NodeBuilder &b, const CodeProduct &p) {
  Value codes =
      b.create("MatMulInteger", {p.x, p.w, p.xZero, p.wZero}, {}, b.i32());
  Value scale = b.create("Mul", {p.xScale, p.wScale});
  Value y = b.create("Mul", {b.cast(codes, b.f32()), scale});
  return onnx::isAbsent(p.bias) ? y : b.create("Add", {y, p.bias});
}

/// A has codes.
Status buildMatMulIntegerToFloat(NodeContext &node) {
  NodeBuilder b(node);
  CodeProduct product;
  product.x = node.input(0);
  product.w = node.input(1);
  product.xScale = node.input(2);
  product.wScale = node.input(3);
  product.xZero = b.input(4);
  product.wZero = b.input(5);
  product.bias = b.input(6);
  return b.finish({scaledProduct(b, product)});
}

/// A has floats; its codes are those of DynamicQuantizeLinear.
Status buildDynamicQuantizeMatMul(NodeContext &node) {
  NodeBuilder b(node);
  SmallVector<Value> codes =
      b.createAll("DynamicQuantizeLinear", {node.input(0)}, 3);
  CodeProduct product;
  product.x = codes[0];
  product.xScale = codes[1];
  product.xZero = codes[2];
  product.w = node.input(1);
  product.wScale = node.input(2);
  product.wZero = b.input(3);
  product.bias = b.input(4);
  return b.finish({scaledProduct(b, product)});
}

/// Keys or values [B, N, P, D] of the past [2, B, N, P, D].
static Value pastOf(NodeContext &node, NodeBuilder &b, int64_t which) {
  return b.create("Gather", {node.input(8), node.scalar(which)}, b.axis(0));
}

/// One product of codes for q, k and v, then attention in floats.
Status buildQAttention(NodeContext &node) {
  QOPT_RETURN_IF_ERROR(node.expect("do_rotary", 0));
  QOPT_RETURN_IF_ERROR(node.expect("past_present_share_buffer", 0));
  OpBuilder &builder = node.builder();
  NodeBuilder b(node);
  auto weights = dyn_cast<RankedTensorType>(node.input(1).getType());
  if (!weights || weights.getRank() != 2 || weights.isDynamicDim(1) ||
      weights.getDimSize(1) % 3 != 0)
    return Status(StatusCode::BadModel,
                  "input 1 is no matrix of the weights of q, k and v");
  CodeProduct product;
  product.x = node.input(0);
  product.w = node.input(1);
  product.bias = b.input(2);
  product.xScale = node.input(3);
  product.wScale = node.input(4);
  product.xZero = b.input(6);
  product.wZero = b.input(7);
  int64_t width = weights.getDimSize(1) / 3;
  SmallVector<Value> parts = b.createAll(
      "Split",
      {scaledProduct(b, product), node.constant({width, width, width})}, 3,
      b.axis(2));
  bool cached = node.hasInput(8);
  Value key = cached ? pastOf(node, b, 0) : b.none();
  Value value = cached ? pastOf(node, b, 1) : b.none();
  NamedAttrList attrs;
  attrs.set("num_heads",
            builder.getI64IntegerAttr(node.integer("num_heads", 0)));
  attrs.set("unidirectional",
            builder.getBoolAttr(node.integer("unidirectional", 0) != 0));
  attrs.set("mask_filter_value",
            builder.getF32FloatAttr(node.number("mask_filter_value", -10000)));
  if (float scale = node.number("scale", 0); scale != 0)
    attrs.set("scale", builder.getF32FloatAttr(scale));
  SmallVector<Value> attended =
      b.createAll("ms.MultiHeadAttention",
                  {parts[0], parts[1], parts[2], b.none(), b.input(5), b.none(),
                   key, value, b.none(), b.none()},
                  4, attrs);
  Value present;
  if (node.wantsOutput(1)) {
    Value first = node.constant({0});
    present = b.create("Concat",
                       {b.create("Unsqueeze", {attended[1], first}),
                        b.create("Unsqueeze", {attended[2], first})},
                       b.axis(0));
  }
  return b.finish({attended[0], present});
}

} // namespace qopt::import
