// Defaults that depend on operands, written out; attribute values that cannot
// be done, refused with their reason.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Import/Onnx/ops/Upgrades.h"

using namespace mlir;

namespace qopt::import {

static RankedTensorType typeOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

Status transposePerm(NodeContext &node) {
  SmallVector<int64_t> perm = node.integers("perm");
  int64_t rank = typeOf(node.input(0)).getRank();
  if (!node.hasAttribute("perm"))
    for (int64_t axis = rank - 1; axis >= 0; --axis)
      perm.push_back(axis);
  node.set("perm", node.builder().getDenseI64ArrayAttr(perm));
  return {};
}

StatusOr<NamedAttrList> convolutionWindow(NodeContext &node, Value weights) {
  RankedTensorType type = typeOf(weights);
  if (type.getRank() < 3 || !type.hasStaticShape())
    return Status(StatusCode::Unsupported,
                  "weights of unknown shape or of rank below 3 are not "
                  "supported");
  size_t spatial = type.getRank() - 2;
  NamedAttrList attrs;
  auto fill = [&](StringRef name, size_t count, int64_t value) {
    SmallVector<int64_t> values = node.integers(name);
    if (values.empty())
      values.assign(count, value);
    attrs.set(name, node.builder().getDenseI64ArrayAttr(values));
  };
  fill("dilations", spatial, 1);
  fill("strides", spatial, 1);
  fill("pads", 2 * spatial, 0);
  ArrayRef<int64_t> kernel = type.getShape().drop_front(2);
  SmallVector<int64_t> given = node.integers("kernel_shape");
  if (!given.empty() && kernel != ArrayRef<int64_t>(given))
    return Status(StatusCode::BadModel,
                  "attribute \"kernel_shape\" differs from the weights' shape");
  attrs.set("kernel_shape", node.builder().getDenseI64ArrayAttr(kernel));
  return attrs;
}

Status convWindow(NodeContext &node) {
  auto attrs = convolutionWindow(node, node.input(1));
  if (!attrs)
    return attrs.status();
  for (NamedAttribute attribute : *attrs)
    node.set(attribute.getName(), attribute.getValue());
  return {};
}

Status rangeStash(NodeContext &node) { return node.expect("stash_type", 1); }

Status groupNormForm(NodeContext &node) {
  if (node.opset() >= 21)
    return {};
  return Status(StatusCode::Unsupported,
                "the form of opset 18 to 20 (scale per group) is not "
                "supported; convert the model to opset 21");
}

Status matMulNBitsForm(NodeContext &node) {
  return node.expect("weight_prepacked", 0);
}

Status groupQueryForm(NodeContext &node) {
  return node.expect("sliding_window_cache", 0);
}

Status fusedMatMulForm(NodeContext &node) {
  QOPT_RETURN_IF_ERROR(node.expect("transBatchA", 0));
  return node.expect("transBatchB", 0);
}

} // namespace qopt::import
