// QuantizeLinear and DequantizeLinear per tensor, per axis and in blocks, for
// every integer width and the narrow floats, and DynamicQuantizeLinear.
// Rounding is half to even, then saturation, as the standard says.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/Evaluate/Kernel.h"
#include <algorithm>
#include <cmath>

using namespace mlir;

namespace qopt::onnx {
namespace {

/// For each element of operand 0, the position of its scale in operand 1: one
/// for all, one along an axis, or one a block of `block_size` along the axis.
StatusOr<std::vector<int64_t>> scalePositions(const Call &call) {
  ArrayRef<int64_t> shape = call.in(0).shape();
  ArrayRef<int64_t> scales = call.in(1).shape();
  if (call.in(1).count() == 1 && scales.size() <= 1)
    return std::vector<int64_t>(countOf(shape), 0);
  StatusOr<int64_t> axis = call.axis(call.attr("axis", 1), call.in(0).rank());
  if (!axis)
    return axis.status();
  HostTensor::Shape strides(shape.size(), 0);
  int64_t block = std::max<int64_t>(1, call.attr("block_size", 0));
  int64_t along = 1;
  if (scales.size() == 1) {
    if (scales[0] != shape[*axis])
      return Call::fail("the scales do not fit the axis");
  } else {
    if (scales.size() != shape.size() ||
        scales[*axis] != (shape[*axis] + block - 1) / block)
      return Call::fail("the scales do not fit the blocks");
    strides = stridesOf(scales);
    along = strides[*axis];
    strides[*axis] = 0;
  }
  std::vector<int64_t> positions = stridedPositions(shape, strides);
  int64_t inner = stridesOf(shape)[*axis];
  for (size_t i = 0; i < positions.size(); ++i)
    positions[i] +=
        static_cast<int64_t>(i) / inner % shape[*axis] / block * along;
  return positions;
}

KernelResult dequantizeLinear(const Call &call) {
  ArrayRef<int64_t> shape = call.in(0).shape();
  QOPT_RETURN_IF_ERROR(call.admit(shape));
  if (!call.data())
    return one(HostTensor::shapeOnly(call.element(), shape));
  StatusOr<std::vector<int64_t>> positions = scalePositions(call);
  if (!positions)
    return positions.status();
  std::vector<double> values = call.in(0).floats();
  std::vector<double> scales = call.in(1).floats(), zeros;
  if (call.has(2) && !isFloat(call.in(2).element())) // floats have none
    zeros = call.in(2).floats();
  for (size_t i = 0; i < values.size(); ++i) {
    int64_t at = (*positions)[i];
    values[i] = (values[i] - (zeros.empty() ? 0 : zeros[at])) * scales[at];
  }
  return one(HostTensor::ofFloats(call.element(), shape, values));
}

/// The 16-bit float that x, scale and quotient are rounded to, if any.
std::optional<Element> precisionOf(const Call &call) {
  constexpr int64_t float16 = 10, bfloat16 = 16; // TensorProto.DataType
  int64_t precision = call.attr("precision", 0);
  if (precision == float16)
    return Element::F16;
  if (precision == bfloat16)
    return Element::BF16;
  return std::nullopt;
}

double rounded(double value, Element element) {
  return HostTensor::scalar(element, value).floatAt(0);
}

KernelResult quantizeLinear(const Call &call) {
  ArrayRef<int64_t> shape = call.in(0).shape();
  QOPT_RETURN_IF_ERROR(call.admit(shape));
  Element element = call.element();
  if (!call.data())
    return one(HostTensor::shapeOnly(element, shape));
  StatusOr<std::vector<int64_t>> positions = scalePositions(call);
  if (!positions)
    return positions.status();
  std::vector<double> values = call.in(0).floats();
  std::vector<double> scales = call.in(1).floats(), zeros;
  if (call.has(2) && !isFloat(call.in(2).element())) // floats have none
    zeros = call.in(2).floats();
  bool saturate = call.attr("saturate", 1) != 0 || element == Element::F4E2M1;
  std::optional<Element> precision = precisionOf(call);
  bool single = call.in(0).element() != Element::F64;
  auto [lowest, highest] =
      isFloat(element) ? std::pair<int64_t, int64_t>() : rangeOf(element);
  for (size_t i = 0; i < values.size(); ++i) {
    int64_t at = (*positions)[i];
    double quotient = precision ? rounded(rounded(values[i], *precision) /
                                              rounded(scales[at], *precision),
                                          *precision)
                                : values[i] / scales[at];
    if (single) // the division is one of f32 and its ties matter
      quotient = static_cast<float>(quotient);
    if (isFloat(element)) {
      values[i] = saturate ? saturated(element, quotient) : quotient;
      continue;
    }
    double code = std::nearbyint(quotient) + (zeros.empty() ? 0 : zeros[at]);
    values[i] = std::isnan(code)
                    ? 0
                    : std::min(std::max(code, static_cast<double>(lowest)),
                               static_cast<double>(highest));
  }
  return one(HostTensor::ofFloats(element, shape, values));
}

KernelResult dynamicQuantizeLinear(const Call &call) {
  ArrayRef<int64_t> shape = call.in(0).shape();
  Results results;
  if (!call.data()) {
    results.push_back(HostTensor::shapeOnly(Element::U8, shape));
    results.push_back(HostTensor::shapeOnly(Element::F32, {}));
    results.push_back(HostTensor::shapeOnly(Element::U8, {}));
    return results;
  }
  std::vector<double> values = call.in(0).floats();
  double low = 0, high = 0; // the range always holds 0
  for (double value : values) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  auto scale = static_cast<float>(static_cast<float>(high - low) / 255.0F);
  auto limit = [](double x) { return std::min(std::max(x, 0.0), 255.0); };
  double zero =
      scale == 0 ? 0 : std::nearbyint(limit(static_cast<float>(-low / scale)));
  for (double &value : values)
    value =
        scale == 0
            ? zero
            : limit(std::nearbyint(static_cast<float>(value / scale)) + zero);
  results.push_back(HostTensor::ofFloats(Element::U8, shape, values));
  results.push_back(HostTensor::scalar(Element::F32, scale));
  results.push_back(HostTensor::scalar(Element::U8, zero));
  return results;
}

constexpr KernelEntry entries[] = {
    {"QuantizeLinear", quantizeLinear},
    {"DequantizeLinear", dequantizeLinear},
    {"ms.QuantizeLinear", quantizeLinear},
    {"ms.DequantizeLinear", dequantizeLinear},
    {"DynamicQuantizeLinear", dynamicQuantizeLinear},
};

} // namespace

ArrayRef<KernelEntry> quantKernels() { return entries; }

} // namespace qopt::onnx
