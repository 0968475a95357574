// Attributes of older opsets that are inputs in the newest one.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Import/Onnx/ops/Upgrades.h"

using namespace mlir;

namespace qopt::import {

static Status axesToInput(NodeContext &node, int64_t changedIn) {
  if (node.opset() >= changedIn || !node.hasAttribute("axes"))
    return {};
  node.setInput(1, node.constant(node.integers("axes")));
  return {};
}

Status squeezeAxes(NodeContext &node) { return axesToInput(node, 13); }
Status reduceAxes(NodeContext &node) { return axesToInput(node, 18); }

Status splitLengths(NodeContext &node) {
  if (node.opset() < 13 && node.hasAttribute("split"))
    node.setInput(1, node.constant(node.integers("split")));
  if (node.opset() >= 18 && node.hasAttribute("num_outputs"))
    return node.expect("num_outputs", node.numOutputs());
  return {};
}

/// Softmax over all axes from `axis` on as one: on a matrix, then back.
static Status flattenedSoftmax(NodeContext &node, StringRef name,
                               int64_t axis) {
  Value x = node.input(0);
  OpBuilder &b = node.builder();
  auto create = [&](StringRef op, ArrayRef<Value> operands, StringRef attribute,
                    int64_t value) {
    NamedAttrList attrs;
    if (!attribute.empty())
      attrs.set(attribute, b.getI64IntegerAttr(value));
    return node.create(op, operands, 1, attrs);
  };
  auto matrix = create("Flatten", {x}, "axis", axis);
  if (!matrix)
    return matrix.status();
  auto softmax = create(name, {(*matrix)->getResult(0)}, "axis", -1);
  if (!softmax)
    return softmax.status();
  auto shape = create("Shape", {x}, "", 0);
  if (!shape)
    return shape.status();
  auto back = create("Reshape",
                     {(*softmax)->getResult(0), (*shape)->getResult(0)}, "", 0);
  if (!back)
    return back.status();
  node.output((*back)->getResult(0));
  return {};
}

Status softmaxAxis(NodeContext &node) {
  std::string name = node.node().op_type();
  int64_t axis = node.integer("axis", node.opset() < 13 ? 1 : -1);
  auto type = cast<RankedTensorType>(node.input(0).getType());
  int64_t rank = type.getRank();
  int64_t counted = axis < 0 ? axis + rank : axis;
  if (counted < 0 || counted >= std::max<int64_t>(rank, 1))
    return Status(StatusCode::BadModel,
                  "axis " + std::to_string(axis) +
                      " is out of range; the input has rank " +
                      std::to_string(rank));
  if (node.opset() < 13 && counted != rank - 1)
    return flattenedSoftmax(node, name, counted);
  node.set("axis",
           node.builder().getI64IntegerAttr(node.opset() < 13 ? -1 : axis));
  return node.finish(name, 1);
}

} // namespace qopt::import
