// Checks of the weights of all experts, and the part that one expert has.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/StoredElements.h"
#include "lib/Import/Onnx/ops/ConstantViews.h"
#include "lib/Import/Onnx/ops/Experts.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectResourceBlobManager.h"

using namespace mlir;

namespace qopt::import {

static std::string spell(ArrayRef<int64_t> shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i)
    text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

/// A constant input of the given shape; null where it is absent. Sizes of -1
/// are any.
static StatusOr<ElementsAttr> constantInput(NodeContext &node, unsigned index,
                                            ArrayRef<int64_t> shape) {
  if (!node.hasInput(index))
    return ElementsAttr();
  auto constant = node.input(index).getDefiningOp<onnx::ConstantOp>();
  if (!constant)
    return Status(StatusCode::Unsupported,
                  "input " + std::to_string(index) +
                      " is computed; weights of experts must be constants");
  auto value = cast<ElementsAttr>(constant.getValue());
  ArrayRef<int64_t> given = value.getShapedType().getShape();
  bool fits = given.size() == shape.size();
  for (size_t i = 0; fits && i < shape.size(); ++i)
    fits = shape[i] < 0 ? given[i] > 0 : given[i] == shape[i];
  if (!fits)
    return Status(StatusCode::BadModel, "input " + std::to_string(index) +
                                            " has shape " + spell(given) +
                                            "; expected " + spell(shape));
  return value;
}

/// The same, of one that must be there.
static StatusOr<ElementsAttr> weightsInput(NodeContext &node, unsigned index,
                                           ArrayRef<int64_t> shape) {
  if (!node.hasInput(index))
    return Status(StatusCode::BadModel, "input " + std::to_string(index) +
                                            " is absent; expected weights of "
                                            "experts");
  return constantInput(node, index, shape);
}

static Status expectFloats(ElementsAttr values, unsigned index) {
  if (!values || isa<FloatType>(values.getElementType()))
    return {};
  return Status(StatusCode::BadModel,
                "input " + std::to_string(index) + " has no floats");
}

static Status expectBytes(ElementsAttr values, unsigned index) {
  if (!values || values.getElementType().isUnsignedInteger(8))
    return {};
  return Status(StatusCode::BadModel,
                "input " + std::to_string(index) + " is not of uint8");
}

StatusOr<Projection> Projection::ofFloats(NodeContext &node, unsigned weights,
                                          unsigned bias, int64_t columns) {
  Projection made;
  made.columns = columns;
  auto matrix = weightsInput(node, weights, {-1, -1, columns});
  if (!matrix)
    return matrix.status();
  made.weights = *matrix;
  QOPT_RETURN_IF_ERROR(expectFloats(made.weights, weights));
  ArrayRef<int64_t> shape = made.weights.getShapedType().getShape();
  made.experts = shape[0];
  made.rows = shape[1];
  auto added = constantInput(node, bias, {made.experts, made.rows});
  if (!added)
    return added.status();
  made.bias = *added;
  QOPT_RETURN_IF_ERROR(expectFloats(made.bias, bias));
  return made;
}

StatusOr<Projection> Projection::ofCodes(NodeContext &node, Inputs inputs,
                                         int64_t columns, int64_t bits,
                                         int64_t block) {
  Projection made;
  made.columns = columns;
  made.bits = bits;
  made.ofRows = block == 0;
  // The longest blocks of MatMulNBits that make up a row.
  made.block = made.ofRows ? columns & -columns : block;
  if (made.block < 16 || columns % made.block != 0)
    return Status(StatusCode::Unsupported,
                  "rows of " + std::to_string(columns) +
                      " codes are no blocks of " +
                      std::to_string(std::max<int64_t>(block, 16)));
  auto matrix =
      weightsInput(node, inputs.weights, {-1, -1, columns * bits / 8});
  if (!matrix)
    return matrix.status();
  made.weights = *matrix;
  QOPT_RETURN_IF_ERROR(expectBytes(made.weights, inputs.weights));
  ArrayRef<int64_t> shape = made.weights.getShapedType().getShape();
  made.experts = shape[0];
  made.rows = shape[1];
  SmallVector<int64_t> scaleShape{made.experts, made.rows, made.blocks()};
  SmallVector<int64_t> zeroShape{made.experts, made.rows,
                                 (made.blocks() * bits + 7) / 8};
  if (made.ofRows) {
    scaleShape.pop_back();
    zeroShape = {made.experts, (made.rows * bits + 7) / 8};
  }
  auto scales = constantInput(node, inputs.scales, scaleShape);
  auto zeros = constantInput(node, inputs.zeros, zeroShape);
  auto bias = constantInput(node, inputs.bias, {made.experts, made.rows});
  for (const auto *found : {&scales, &zeros, &bias})
    if (!*found)
      return found->status();
  made.scales = *scales;
  made.zeros = *zeros;
  made.bias = *bias;
  if (!made.scales)
    return Status(StatusCode::BadModel, "input " +
                                            std::to_string(inputs.scales) +
                                            " is absent; codes need scales");
  QOPT_RETURN_IF_ERROR(expectFloats(made.scales, inputs.scales));
  QOPT_RETURN_IF_ERROR(expectBytes(made.zeros, inputs.zeros));
  QOPT_RETURN_IF_ERROR(expectFloats(made.bias, inputs.bias));
  return made;
}

static std::string nameOf(ElementsAttr all, int64_t expert) {
  return (keyOf(all, "expert") + "." + llvm::Twine(expert)).str();
}

/// Element `expert` of the first axis, with `shape` in place of its own.
static ElementsAttr partOf(ElementsAttr all, int64_t expert,
                           ArrayRef<int64_t> shape) {
  auto type = RankedTensorType::get(shape, all.getElementType());
  return viewOf(all, type, static_cast<size_t>(expert * ir::storedSize(type)),
                nameOf(all, expert));
}

static ElementsAttr owned(RankedTensorType type, StringRef name,
                          ArrayRef<char> bytes) {
  return DenseResourceElementsAttr::get(
      type, name, HeapAsmResourceBlob::allocateAndCopyWithAlign(bytes, 64));
}

ElementsAttr Projection::repeatedScales(int64_t expert) const {
  auto type = RankedTensorType::get({rows, blocks()}, scales.getElementType());
  auto stored = ir::StoredElements::of(scales);
  if (ir::areAbsent(scales) || !stored)
    return ir::absentElements(type, nameOf(scales, expert));
  size_t size = stored->bytes().size() / static_cast<size_t>(experts * rows);
  std::vector<char> bytes;
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t i = 0; i < blocks(); ++i)
      llvm::append_range(
          bytes, stored->bytes().slice(
                     static_cast<size_t>(expert * rows + row) * size, size));
  return owned(type, nameOf(scales, expert), bytes);
}

ElementsAttr Projection::repeatedZeros(int64_t expert) const {
  int64_t rowBytes = (blocks() * bits + 7) / 8, perByte = 8 / bits;
  auto type = RankedTensorType::get({rows, rowBytes}, zeros.getElementType());
  auto stored = ir::StoredElements::of(zeros);
  if (ir::areAbsent(zeros) || !stored)
    return ir::absentElements(type, nameOf(zeros, expert));
  int64_t expertBytes = (rows * bits + 7) / 8;
  ArrayRef<char> codes =
      stored->bytes().slice(static_cast<size_t>(expert * expertBytes),
                            static_cast<size_t>(expertBytes));
  std::vector<char> bytes(static_cast<size_t>(rows * rowBytes));
  for (int64_t row = 0; row < rows; ++row) {
    auto byte = static_cast<uint8_t>(codes[static_cast<size_t>(row / perByte)]);
    int code = byte >> (row % perByte * bits) & ((1 << bits) - 1);
    for (int64_t i = 0; i < blocks(); ++i)
      bytes[static_cast<size_t>(row * rowBytes + i / perByte)] |=
          static_cast<char>(code << (i % perByte * bits));
  }
  return owned(type, nameOf(zeros, expert), bytes);
}

ExpertWeights Projection::at(int64_t expert) const {
  ExpertWeights one;
  one.block = block;
  if (bias)
    one.bias = partOf(bias, expert, {rows});
  if (!bits) {
    one.weights = partOf(weights, expert, {rows, columns});
    return one;
  }
  one.weights = partOf(weights, expert, {rows, blocks(), block * bits / 8});
  one.scales = ofRows ? repeatedScales(expert)
                      : partOf(scales, expert, {rows, blocks()});
  if (zeros)
    one.zeros = ofRows
                    ? repeatedZeros(expert)
                    : partOf(zeros, expert, {rows, (blocks() * bits + 7) / 8});
  return one;
}

} // namespace qopt::import
