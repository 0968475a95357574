// Operators whose result type is named by an attribute or by another operand.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Import/Onnx/ops/Upgrades.h"

using namespace mlir;
using onnx_file::TensorProto;

namespace qopt::import {

static Type elementTypeOf(Value value) {
  return cast<ShapedType>(value.getType()).getElementType();
}

/// How what does not fit is rounded; only the narrowest floats ask for it.
static NamedAttrList roundingOf(NodeContext &node) {
  OpBuilder &b = node.builder();
  NamedAttrList attrs;
  attrs.set("saturate", b.getBoolAttr(node.integer("saturate", 1) != 0));
  attrs.set("round_mode", b.getStringAttr(node.text("round_mode", "up")));
  return attrs;
}

static Status namedType(NodeContext &node, StringRef attribute, Type &type) {
  int64_t number = node.integer(attribute, 0);
  type = elementType(number, node.location().getContext());
  if (type)
    return {};
  return Status(StatusCode::Unsupported,
                "conversion to " + dataTypeName(number) + " is not supported");
}

Status buildCast(NodeContext &node) {
  Type type;
  QOPT_RETURN_IF_ERROR(namedType(node, "to", type));
  for (NamedAttribute attribute : roundingOf(node))
    node.set(attribute.getName(), attribute.getValue());
  return node.finish("Cast", 1, type);
}

Status buildCastLike(NodeContext &node) {
  Type type = elementTypeOf(node.input(1));
  auto cast = node.create("Cast", {node.input(0)}, 1, roundingOf(node), type);
  if (!cast)
    return cast.status();
  node.output((*cast)->getResult(0));
  return {};
}

/// Without a zero point the codes' type is output_dtype, or else uint8.
Status buildQuantizeLinear(NodeContext &node) {
  OpBuilder &b = node.builder();
  Type type = IntegerType::get(b.getContext(), 8, IntegerType::Unsigned);
  bool named = node.integer("output_dtype", 0) != 0;
  if (named)
    QOPT_RETURN_IF_ERROR(namedType(node, "output_dtype", type));
  if (node.hasInput(2) && named && elementTypeOf(node.input(2)) != type)
    return Status(StatusCode::BadModel,
                  "output_dtype differs from the zero point's type");
  node.set("axis", b.getI64IntegerAttr(node.integer("axis", 1)));
  node.set("block_size", b.getI64IntegerAttr(node.integer("block_size", 0)));
  // What divides in 16 bits says so from here on: types may widen later.
  Type x = elementTypeOf(node.input(0)), scale = elementTypeOf(node.input(1));
  int64_t precision = x != scale       ? 0
                      : scale.isF16()  ? TensorProto::FLOAT16
                      : scale.isBF16() ? TensorProto::BFLOAT16
                                       : 0;
  node.set("precision",
           b.getI64IntegerAttr(node.integer("precision", precision)));
  node.set("saturate", b.getBoolAttr(node.integer("saturate", 1) != 0));
  if (!node.hasInput(2))
    node.setInput(2, node.none());
  return node.finish("QuantizeLinear", 1, type);
}

/// The result has output_dtype, or else the scale's type; powers of two are
/// scales only.
Status buildDequantizeLinear(NodeContext &node) {
  OpBuilder &b = node.builder();
  Type scale = elementTypeOf(node.input(1)), type = scale;
  bool isPower = isa<Float8E8M0FNUType>(scale);
  if (node.integer("output_dtype", 0) != 0) {
    QOPT_RETURN_IF_ERROR(namedType(node, "output_dtype", type));
    if (type != scale && !isPower)
      return Status(StatusCode::Unsupported, "an output_dtype other than the "
                                             "scale's type is not supported");
  } else if (isPower) {
    return Status(StatusCode::BadModel,
                  "scales of float8e8m0 are no type of a result; expected "
                  "output_dtype");
  }
  node.set("axis", b.getI64IntegerAttr(node.integer("axis", 1)));
  node.set("block_size", b.getI64IntegerAttr(node.integer("block_size", 0)));
  if (!node.hasInput(2))
    node.setInput(2, node.none());
  return node.finish("DequantizeLinear", 1, type);
}

} // namespace qopt::import
