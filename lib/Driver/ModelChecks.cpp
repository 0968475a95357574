// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/ModelChecks.h"
#include "dialects/Onnx/NodeLocation.h"
#include "dialects/Onnx/PrintableNames.h"
#include "dialects/QOpt/QOptOps.h"
#include "dialects/QOpt/StoredElements.h"
#include "lib/Quant/FloatConversion.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include <cmath>
#include <cstring>

using namespace mlir;

namespace qopt::driver {

/// Whether an operation adds or multiplies with the constant, in a kernel of
/// qopt's own.
static bool isParameter(arith::ConstantOp constant) {
  return llvm::any_of(constant->getUsers(), [](Operation *user) {
    return isa<ir::LinearOp, ir::RmsNormOp, ir::LayerNormOp, ir::RotaryTableOp,
               ir::FusedOp>(user);
  });
}

/// Element `i` of floats as they are stored; 0 for types without infinities
/// that qopt reads.
static float elementAt(ArrayRef<char> bytes, Type element, size_t i) {
  if (element.isF32()) {
    float value;
    std::memcpy(&value, bytes.data() + 4 * i, 4);
    return value;
  }
  if (element.isF64()) {
    double value;
    std::memcpy(&value, bytes.data() + 8 * i, 8);
    return std::isfinite(value) ? 0 : static_cast<float>(value);
  }
  uint16_t half;
  std::memcpy(&half, bytes.data() + 2 * i, 2);
  return element.isF16() ? quant::halfToFloat(half)
                         : quant::bfloat16ToFloat(half);
}

static Status checkConstant(arith::ConstantOp constant) {
  auto data = dyn_cast<ElementsAttr>(constant.getValue());
  if (!data || data.getShapedType().getRank() == 0)
    return Status();
  Type element = data.getElementType();
  if (!element.isF32() && !element.isF64() && !element.isF16() &&
      !element.isBF16())
    return Status();
  bool parameter = isParameter(constant);
  auto stored = ir::StoredElements::of(data);
  if (!stored)
    return Status();
  ArrayRef<char> bytes = stored->bytes();
  size_t count = bytes.size() / (element.getIntOrFloatBitWidth() / 8);
  for (size_t i = 0; i < count; ++i) {
    float value = elementAt(bytes, element, i);
    if (std::isfinite(value) || (std::isinf(value) && !parameter))
      continue;
    return Status(StatusCode::BadModel,
                  "the constant \"" +
                      onnx::printableName(onnx::nodeName(constant.getLoc())) +
                      "\" has the value " +
                      (std::isnan(value) ? "nan" : "infinity") +
                      " at element " + std::to_string(i) +
                      "; export the model again with finite weights");
  }
  return Status();
}

Status checkConstants(func::FuncOp func) {
  Status result;
  func.walk([&](arith::ConstantOp constant) {
    result = checkConstant(constant);
    return result.ok() ? WalkResult::advance() : WalkResult::interrupt();
  });
  return result;
}

} // namespace qopt::driver
