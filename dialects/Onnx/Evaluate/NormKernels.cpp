// Normalisations: Softmax and LogSoftmax, LayerNormalization, RMSNormalization
// (also under its older name SimplifiedLayerNormalization), LpNormalization.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/Evaluate/Kernel.h"
#include <algorithm>
#include <cmath>

using namespace mlir;

namespace qopt::onnx {
namespace {

/// Calls function(values, first position, stride, length) for each line along
/// one axis, and rounds the result.
template <typename Function>
KernelResult alongAxis(const Call &call, Function function) {
  ArrayRef<int64_t> shape = call.in(0).shape();
  StatusOr<int64_t> axis = call.axis(call.attr("axis", -1), call.in(0).rank());
  if (!axis)
    return axis.status();
  if (!call.data())
    return one(call.in(0).withoutData());
  std::vector<double> values = call.in(0).floats();
  int64_t stride = stridesOf(shape)[*axis], length = shape[*axis];
  for (int64_t first = 0, count = countOf(shape); first < count; ++first)
    if (first / stride % length == 0)
      function(values, first, stride, length);
  return one(HostTensor::ofFloats(call.element(), shape, values));
}

void softmaxLine(std::vector<double> &values, int64_t first, int64_t stride,
                 int64_t length) {
  double largest = -INFINITY, total = 0;
  for (int64_t i = 0; i < length; ++i)
    largest = std::max(largest, values[first + i * stride]);
  for (int64_t i = 0; i < length; ++i) {
    double &value = values[first + i * stride];
    value = std::exp(value - largest); // a row of -inf gives NaN, as in ONNX
    total += value;
  }
  for (int64_t i = 0; i < length; ++i)
    values[first + i * stride] /= total;
}

KernelResult softmax(const Call &call) { return alongAxis(call, softmaxLine); }

KernelResult logSoftmax(const Call &call) {
  return alongAxis(call, [](std::vector<double> &values, int64_t first,
                            int64_t stride, int64_t length) {
    softmaxLine(values, first, stride, length);
    for (int64_t i = 0; i < length; ++i)
      values[first + i * stride] = std::log(values[first + i * stride]);
  });
}

KernelResult lpNormalization(const Call &call) {
  bool squares = call.attr("p", 2) == 2;
  return alongAxis(call, [=](std::vector<double> &values, int64_t first,
                             int64_t stride, int64_t length) {
    double total = 0;
    for (int64_t i = 0; i < length; ++i) {
      double value = values[first + i * stride];
      total += squares ? value * value : std::abs(value);
    }
    double norm = squares ? std::sqrt(total) : total;
    for (int64_t i = 0; i < length; ++i)
      values[first + i * stride] /= norm == 0 ? 1 : norm;
  });
}

/// Mean and 1/standard deviation of each row of the normalised axes.
struct Moments {
  std::vector<double> mean, inverse;
};

/// Normalises the axes from `axis` on; `centred` subtracts the mean.
Moments normalize(std::vector<double> &values, int64_t inner, double epsilon,
                  bool centred) {
  Moments moments;
  auto width = static_cast<double>(inner);
  for (size_t row = 0; row < values.size(); row += inner) {
    double mean = 0, square = 0;
    for (int64_t i = 0; centred && i < inner; ++i)
      mean += values[row + i] / width;
    for (int64_t i = 0; i < inner; ++i)
      square += (values[row + i] - mean) * (values[row + i] - mean) / width;
    double inverse = 1 / std::sqrt(square + epsilon);
    for (int64_t i = 0; i < inner; ++i)
      values[row + i] = (values[row + i] - mean) * inverse;
    moments.mean.push_back(mean);
    moments.inverse.push_back(inverse);
  }
  return moments;
}

KernelResult normalization(const Call &call, bool centred) {
  ArrayRef<int64_t> shape = call.in(0).shape();
  StatusOr<int64_t> axis = call.axis(call.attr("axis", -1), call.in(0).rank());
  if (!axis)
    return axis.status();
  HostTensor::Shape statistics(shape);
  std::fill(statistics.begin() + *axis, statistics.end(), 1);
  Results results;
  if (!call.data()) {
    results.push_back(call.in(0).withoutData());
    for (unsigned i = 1; i < call.resultCount(); ++i)
      results.push_back(HostTensor::shapeOnly(call.element(i), statistics));
    return results;
  }
  std::vector<double> values = call.in(0).floats();
  Moments moments = normalize(values, countOf(shape.drop_front(*axis)),
                              call.attrFloat("epsilon", 1e-5), centred);
  auto apply = [&](size_t operand, auto combine) {
    std::vector<double> other = call.in(operand).floats();
    std::vector<int64_t> from = stridedPositions(
        shape, broadcastStrides(call.in(operand).shape(), shape));
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = combine(values[i], other[from[i]]);
  };
  if (call.has(1))
    apply(1, [](double x, double scale) { return x * scale; });
  if (call.has(2))
    apply(2, [](double x, double bias) { return x + bias; });
  results.push_back(HostTensor::ofFloats(call.element(), shape, values));
  for (unsigned i = 1; i < call.resultCount(); ++i)
    results.push_back(call.element(i) == Element::None
                          ? HostTensor()
                          : HostTensor::ofFloats(call.element(i), statistics,
                                                 centred && i == 1
                                                     ? moments.mean
                                                     : moments.inverse));
  return results;
}

KernelResult layerNormalization(const Call &call) {
  return normalization(call, true);
}
KernelResult rmsNormalization(const Call &call) {
  return normalization(call, false);
}

constexpr KernelEntry entries[] = {
    {"Softmax", softmax},
    {"LogSoftmax", logSoftmax},
    {"LpNormalization", lpNormalization},
    {"LayerNormalization", layerNormalization},
    {"RMSNormalization", rmsNormalization},
    {"SimplifiedLayerNormalization", rmsNormalization},
    {"ms.SimplifiedLayerNormalization", rmsNormalization},
};

} // namespace

ArrayRef<KernelEntry> normKernels() { return entries; }

} // namespace qopt::onnx
