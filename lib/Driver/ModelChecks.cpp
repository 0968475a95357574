// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/ModelChecks.h"
#include "dialects/Onnx/NodeLocation.h"
#include "dialects/Onnx/OnnxOps.h"
#include "dialects/Onnx/PrintableNames.h"
#include "dialects/QOpt/ErrorCode.h"
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

namespace {
struct FoundElement {
  size_t index;
  float value;

  const char *spell() const {
    return std::isnan(value) ? "nan" : std::isinf(value) ? "infinity" : "0";
  }
};
} // namespace

/// The first element of a tensor of floats that `matches`; none of another. All
/// weights of a model pass here, so the test is inlined.
template <typename Predicate>
static std::optional<FoundElement> findElement(ElementsAttr data,
                                               Predicate matches) {
  Type element = data.getElementType();
  if (!element.isF32() && !element.isF64() && !element.isF16() &&
      !element.isBF16())
    return std::nullopt;
  std::optional<ir::StoredElements> stored = ir::StoredElements::of(data);
  if (!stored)
    return std::nullopt;
  ArrayRef<char> bytes = stored->bytes();
  size_t count = bytes.size() / (element.getIntOrFloatBitWidth() / 8);
  for (size_t i = 0; i < count; ++i)
    if (float value = elementAt(bytes, element, i); matches(value))
      return FoundElement{i, value};
  return std::nullopt;
}

static Status checkConstant(arith::ConstantOp constant) {
  auto data = dyn_cast<ElementsAttr>(constant.getValue());
  if (!data || data.getShapedType().getRank() == 0)
    return Status();
  bool parameter = isParameter(constant);
  auto found = findElement(data, [&](float value) {
    return std::isnan(value) || (std::isinf(value) && parameter);
  });
  if (!found)
    return Status();
  return Status(StatusCode::BadModel,
                "the constant \"" +
                    onnx::printableName(onnx::nodeName(constant.getLoc())) +
                    "\" has the value " + found->spell() + " at element " +
                    std::to_string(found->index) +
                    "; export the model again with finite weights");
}

Status checkConstants(func::FuncOp func) {
  Status result;
  func.walk([&](arith::ConstantOp constant) {
    result = checkConstant(constant);
    return result.ok() ? WalkResult::advance() : WalkResult::interrupt();
  });
  return result;
}

static LogicalResult checkScale(Operation *op, Value scale, bool mayBeZero) {
  auto constant = scale.getDefiningOp<onnx::ConstantOp>();
  if (!constant)
    return success();
  auto found =
      findElement(cast<ElementsAttr>(constant.getValue()), [&](float value) {
        return !std::isfinite(value) || (value == 0 && !mayBeZero);
      });
  if (!found)
    return success();
  InFlightDiagnostic error = op->emitError();
  error << "its scale \""
        << onnx::printableName(onnx::nodeName(constant.getLoc()))
        << "\" has the value " << found->spell() << " at element "
        << found->index << "; expected a finite number"
        << (mayBeZero ? "" : " other than 0") << "; calibrate the model again";
  return ir::withCode(std::move(error), op->getContext(), StatusCode::BadModel);
}

LogicalResult checkScales(ModuleOp module) {
  bool good = true;
  module.walk([&](Operation *op) {
    if (auto quantize = dyn_cast<onnx::QuantizeLinearOp>(op))
      good &= succeeded(checkScale(op, quantize.getScale(), false));
    else if (auto dequantize = dyn_cast<onnx::DequantizeLinearOp>(op))
      good &= succeeded(checkScale(
          op, dequantize.getScale(),
          dequantize.getX().getDefiningOp<onnx::ConstantOp>() != nullptr));
  });
  return success(good);
}

} // namespace qopt::driver
