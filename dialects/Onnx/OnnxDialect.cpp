// Registration of the onnx dialect, its one fold (a constant is itself) and the
// reading of small constants.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/OnnxDialect.h"
#include "dialects/Onnx/OnnxOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/OpImplementation.h"

#include "dialects/Onnx/OnnxDialect.cpp.inc"

#define GET_OP_CLASSES
#include "dialects/Onnx/OnnxOps.cpp.inc"

using namespace mlir;

namespace qopt::onnx {

void OnnxDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "dialects/Onnx/OnnxOps.cpp.inc"
      >();
}

Operation *OnnxDialect::materializeConstant(OpBuilder &builder, Attribute value,
                                            Type type, Location loc) {
  auto elements = dyn_cast<ElementsAttr>(value);
  if (!elements || elements.getType() != type)
    return nullptr;
  return ConstantOp::create(builder, loc, elements);
}

OpFoldResult ConstantOp::fold(FoldAdaptor) { return getValue(); }

std::optional<SmallVector<int64_t>> constantIntegers(Value value) {
  DenseIntElementsAttr elements;
  if (!matchPattern(value, m_Constant(&elements)))
    return std::nullopt;
  bool isUnsigned = elements.getElementType().isUnsignedInteger() ||
                    elements.getElementType().isInteger(1);
  SmallVector<int64_t> result;
  for (const APInt &element : elements.getValues<APInt>())
    result.push_back(isUnsigned ? static_cast<int64_t>(element.getZExtValue())
                                : element.getSExtValue());
  return result;
}

std::optional<double> constantScalar(Value value) {
  if (auto integers = constantIntegers(value))
    return integers->size() == 1
               ? std::optional(static_cast<double>(integers->front()))
               : std::nullopt;
  DenseFPElementsAttr elements;
  if (!matchPattern(value, m_Constant(&elements)) ||
      elements.getNumElements() != 1)
    return std::nullopt;
  APFloat element = *elements.value_begin<APFloat>();
  bool exact;
  element.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &exact);
  return element.convertToDouble();
}

} // namespace qopt::onnx
