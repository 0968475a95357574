// Constant in all its spellings, and ConstantOfShape.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Import/Onnx/GraphImporter.h"
#include "lib/Import/Onnx/ops/Upgrades.h"

using namespace mlir;

namespace qopt::import {

static StatusOr<ElementsAttr> constantValue(NodeContext &node) {
  Builder b(node.location().getContext());
  if (const auto *tensor = node.tensor("value"))
    return node.tensors().read(*tensor, node.node().output(0));
  auto scalar = [](Type type) { return RankedTensorType::get({}, type); };
  auto vector = [](size_t size, Type type) {
    return RankedTensorType::get(static_cast<int64_t>(size), type);
  };
  if (node.hasAttribute("value_int"))
    return ElementsAttr(DenseElementsAttr::get(
        scalar(b.getI64Type()), ArrayRef(node.integer("value_int", 0))));
  if (node.hasAttribute("value_float"))
    return ElementsAttr(DenseElementsAttr::get(
        scalar(b.getF32Type()), ArrayRef(node.number("value_float", 0))));
  if (node.hasAttribute("value_ints")) {
    SmallVector<int64_t> values = node.integers("value_ints");
    return ElementsAttr(DenseElementsAttr::get(
        vector(values.size(), b.getI64Type()), ArrayRef<int64_t>(values)));
  }
  if (node.hasAttribute("value_floats")) {
    SmallVector<float> values = node.numbers("value_floats");
    return ElementsAttr(DenseElementsAttr::get(
        vector(values.size(), b.getF32Type()), ArrayRef<float>(values)));
  }
  for (const char *name : {"sparse_value", "value_string", "value_strings"})
    if (node.hasAttribute(name))
      return Status(StatusCode::Unsupported,
                    std::string("a constant given as \"") + name +
                        "\" is not supported");
  return Status(StatusCode::BadModel, "the constant has no value");
}

Status buildConstant(NodeContext &node) {
  StatusOr<ElementsAttr> value = constantValue(node);
  if (!value)
    return value.status();
  node.output(node.importer().constant(node.location(), *value));
  return {};
}

Status buildConstantOfShape(NodeContext &node) {
  OpBuilder &b = node.builder();
  ElementsAttr value = DenseElementsAttr::get(
      RankedTensorType::get({1}, b.getF32Type()), ArrayRef<float>(0.0f));
  if (const auto *tensor = node.tensor("value")) {
    auto read = node.tensors().read(*tensor, "value");
    if (!read)
      return read.status();
    if (read->getNumElements() != 1)
      return Status(StatusCode::BadModel,
                    "the value has " + std::to_string(read->getNumElements()) +
                        " elements; expected one");
    value = *read;
  }
  node.set("value", value);
  return {};
}

} // namespace qopt::import
