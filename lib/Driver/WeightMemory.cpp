// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/WeightMemory.h"
#include "lib/Driver/PrecisionAssignment.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace qopt::driver {

static int64_t bytesOf(std::optional<ElementsAttr> elements) {
  return elements ? int64_t(ir::storedSize(elements->getShapedType())) : 0;
}

int64_t sourceBytes(Value weight) {
  Operation *op = weight.getDefiningOp();
  if (auto source = dyn_cast_or_null<ir::WeightOp>(op))
    return bytesOf(source.getCodes()) + bytesOf(source.getScales()) +
           bytesOf(source.getZeros());
  int64_t bytes = 0;
  for (Value operand : op ? op->getOperands() : ValueRange())
    bytes += sourceBytes(operand);
  return bytes;
}

int64_t storedBytesOf(ModuleOp module) {
  int64_t bytes = 0;
  module.walk([&](Operation *op) {
    for (NamedAttribute attribute : op->getAttrs())
      if (auto elements = dyn_cast<ElementsAttr>(attribute.getValue()))
        if (elements.getElementType().isIntOrFloat())
          bytes += elements.getNumElements() *
                   elements.getElementType().getIntOrFloatBitWidth() / 8;
  });
  return bytes;
}

/// Of a weight in canonical storage.
static int64_t canonicalBytes(Value weight) {
  auto type = cast<ir::WeightType>(weight.getType());
  int64_t bytes = 0;
  for (const ir::RowRange &range : type.getRanges())
    bytes += storedBytes(range.format, range.rows, type.getColumns());
  return bytes;
}

static int64_t evaluationBytes(Value weight);

/// What operands take one after the other, and the result beside each.
static int64_t besideOperands(Operation *op) {
  int64_t most = 0;
  for (Value operand : op->getOperands())
    most = std::max(most, evaluationBytes(operand));
  return most + canonicalBytes(op->getResult(0));
}

static int64_t evaluationBytes(Value weight) {
  return llvm::TypeSwitch<Operation *, int64_t>(weight.getDefiningOp())
      .Case([&](ir::WeightOp op) {
        bool isReferred = op.getEncoding() == ir::Encoding::Canonical &&
                          !op.getTransposed() && !op.hasFactors();
        return isReferred ? 0 : canonicalBytes(weight);
      })
      .Case(
          [&](ir::PackWeightOp op) { return evaluationBytes(op.getSource()); })
      .Default([](Operation *op) { return op ? besideOperands(op) : 0; });
}

int64_t evaluationBytes(const WeightPart &part) {
  if (part.sources.size() == 1)
    return evaluationBytes(part.sources.front());
  int64_t most = 0, joined = 0;
  for (Value source : part.sources) {
    most = std::max(most, evaluationBytes(source));
    joined += canonicalBytes(source);
  }
  return most + joined;
}

} // namespace qopt::driver
