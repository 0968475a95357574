// Elementwise kernels of one operand: functions of a real number, integer and
// boolean negation, Cast and Identity.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/Evaluate/Kernel.h"
#include <cmath>

using namespace mlir;

namespace qopt::onnx {
namespace {

/// f applied to each element as a double, rounded once to the result's type.
template <typename Function>
KernelResult mapFloats(const Call &call, Function function) {
  ArrayRef<int64_t> shape = call.in(0).shape();
  QOPT_RETURN_IF_ERROR(call.admit(shape));
  if (!call.data())
    return one(HostTensor::shapeOnly(call.element(), shape));
  std::vector<double> values = call.in(0).floats();
  for (double &value : values)
    value = function(value);
  return one(HostTensor::ofFloats(call.element(), shape, values));
}

template <typename Function>
KernelResult mapInts(const Call &call, Function function) {
  ArrayRef<int64_t> shape = call.in(0).shape();
  QOPT_RETURN_IF_ERROR(call.admit(shape));
  if (!call.data())
    return one(HostTensor::shapeOnly(call.element(), shape));
  std::vector<int64_t> values = call.in(0).ints();
  for (int64_t &value : values)
    value = function(value);
  return one(HostTensor::ofInts(call.element(), shape, values));
}

template <double (*function)(double)> KernelResult real(const Call &call) {
  return mapFloats(call, function);
}

double sigmoidOf(double x) { return 1 / (1 + std::exp(-x)); }
double reciprocalOf(double x) { return 1 / x; }
double softplusOf(double x) {
  return x > 30 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
}
double softsignOf(double x) { return x / (1 + std::abs(x)); }
double mishOf(double x) { return x * std::tanh(softplusOf(x)); }
double hardSwishOf(double x) {
  return x * std::min(std::max(x / 6 + 0.5, 0.0), 1.0);
}
double geluErfOf(double x) {
  return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
}
double geluTanhOf(double x) {
  return 0.5 * x *
         (1 + std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
}

KernelResult neg(const Call &call) {
  if (isFloat(call.element()))
    return mapFloats(call, [](double x) { return -x; });
  return mapInts(call, [](int64_t x) {
    return static_cast<int64_t>(-static_cast<uint64_t>(x));
  });
}

KernelResult abs(const Call &call) {
  if (isFloat(call.element()))
    return mapFloats(call, [](double x) { return std::abs(x); });
  if (!isSigned(call.element()))
    return mapInts(call, [](int64_t x) { return x; });
  return mapInts(call, [](int64_t x) {
    return x < 0 ? static_cast<int64_t>(-static_cast<uint64_t>(x)) : x;
  });
}

KernelResult sign(const Call &call) {
  if (isFloat(call.element()))
    return mapFloats(call, [](double x) {
      return std::isnan(x) ? x : static_cast<double>((x > 0) - (x < 0));
    });
  if (!isSigned(call.element()))
    return mapInts(call, [](int64_t x) -> int64_t { return x != 0; });
  return mapInts(call, [](int64_t x) -> int64_t { return (x > 0) - (x < 0); });
}

KernelResult logicalNot(const Call &call) {
  return mapInts(call, [](int64_t x) -> int64_t { return x == 0; });
}
KernelResult bitwiseNot(const Call &call) {
  return mapInts(call, [](int64_t x) { return ~x; });
}
KernelResult isNan(const Call &call) {
  return mapFloats(call, [](double x) { return std::isnan(x) ? 1.0 : 0.0; });
}
KernelResult isInf(const Call &call) {
  bool positive = call.attr("detect_positive", 1) != 0;
  bool negative = call.attr("detect_negative", 1) != 0;
  return mapFloats(call, [=](double x) {
    return std::isinf(x) && (x > 0 ? positive : negative) ? 1.0 : 0.0;
  });
}

KernelResult relu(const Call &call) {
  if (isFloat(call.element()))
    return mapFloats(call, [](double x) { return x < 0 ? 0 : x; });
  return mapInts(call, [](int64_t x) { return std::max<int64_t>(x, 0); });
}
KernelResult leakyRelu(const Call &call) {
  double alpha = call.attrFloat("alpha", 0.01);
  return mapFloats(call, [=](double x) { return x < 0 ? alpha * x : x; });
}
KernelResult elu(const Call &call) {
  double alpha = call.attrFloat("alpha", 1);
  return mapFloats(call,
                   [=](double x) { return x < 0 ? alpha * std::expm1(x) : x; });
}
KernelResult hardSigmoid(const Call &call) {
  double alpha = call.attrFloat("alpha", 0.2);
  double beta = call.attrFloat("beta", 0.5);
  return mapFloats(call, [=](double x) {
    return std::min(std::max(alpha * x + beta, 0.0), 1.0);
  });
}
KernelResult gelu(const Call &call) {
  return call.attrString("approximate", "none") == "tanh"
             ? mapFloats(call, geluTanhOf)
             : mapFloats(call, geluErfOf);
}
/// x · sigmoid(alpha · x): Swish of ONNX, QuickGelu of com.microsoft.
KernelResult swish(const Call &call) {
  double alpha =
      call.attrFloat("alpha", call.name() == "ms.QuickGelu" ? 1.702 : 1.0);
  return mapFloats(call, [=](double x) { return x * sigmoidOf(alpha * x); });
}

//===--------------------------------------------------------------------===//
// Copies
//===--------------------------------------------------------------------===//

/// What Cast to e8m0 makes of a magnitude: a power of two from 2^-127 to 2^127.
double powerOfTwo(float x, StringRef mode, bool saturate) {
  constexpr double least = 0x1p-127, most = 0x1p127;
  if (std::isnan(x) || (!saturate && x < least))
    return NAN;
  if (std::isinf(x))
    return saturate ? most : NAN;
  double power = std::scalbn(1.0, std::ilogb(std::max<double>(x, least)));
  if (mode == "up" ? power < x : mode == "nearest" && 1.5 * power <= x)
    power *= 2;
  return power <= most ? power : saturate ? most : NAN;
}

KernelResult cast(const Call &call) {
  Element from = call.in(0).element(), to = call.element();
  if (from == to && call.data())
    return one(call.in(0));
  bool isNarrow = isFloat(to) && widthOf(to) == 1;
  if (!isFloat(from) && from != Element::U64 && !isNarrow)
    return mapInts(call, [](int64_t x) { return x; });
  bool saturate = call.attr("saturate", 1) != 0 || to == Element::F4E2M1;
  if (to == Element::F8E8M0)
    return mapFloats(
        call, [=, mode = call.attrString("round_mode", "up")](double x) {
          return powerOfTwo(static_cast<float>(std::fabs(x)), mode, saturate);
        });
  return mapFloats(call,
                   [=](double x) { return saturate ? saturated(to, x) : x; });
}

KernelResult identity(const Call &call) {
  return one(call.data() ? call.in(0) : call.in(0).withoutData());
}

/// Inference: the data unchanged, and a mask that keeps everything.
KernelResult dropout(const Call &call) {
  if (call.has(2) && call.data() && call.in(2).intAt(0) != 0 &&
      !(call.has(1) && call.in(1).floatAt(0) == 0))
    return Call::fail("training mode is not supported");
  Results results;
  results.push_back(call.data() ? call.in(0) : call.in(0).withoutData());
  if (call.resultCount() > 1) {
    std::vector<int64_t> all(call.data() ? call.in(0).count() : 0, 1);
    results.push_back(
        call.data() ? HostTensor::ofInts(Element::Bool, call.in(0).shape(), all)
                    : HostTensor::shapeOnly(Element::Bool, call.in(0).shape()));
  }
  return results;
}

constexpr KernelEntry entries[] = {
    {"Sin", real<std::sin>},
    {"Cos", real<std::cos>},
    {"Tan", real<std::tan>},
    {"Asin", real<std::asin>},
    {"Acos", real<std::acos>},
    {"Atan", real<std::atan>},
    {"Sinh", real<std::sinh>},
    {"Cosh", real<std::cosh>},
    {"Tanh", real<std::tanh>},
    {"Exp", real<std::exp>},
    {"Log", real<std::log>},
    {"Sqrt", real<std::sqrt>},
    {"Erf", real<std::erf>},
    {"Floor", real<std::floor>},
    {"Ceil", real<std::ceil>},
    {"Round", real<std::nearbyint>}, // halves to even: the default mode
    {"Sigmoid", real<sigmoidOf>},
    {"Reciprocal", real<reciprocalOf>},
    {"Softplus", real<softplusOf>},
    {"Softsign", real<softsignOf>},
    {"Mish", real<mishOf>},
    {"HardSwish", real<hardSwishOf>},
    {"Neg", neg},
    {"Abs", abs},
    {"Sign", sign},
    {"Not", logicalNot},
    {"BitwiseNot", bitwiseNot},
    {"IsNaN", isNan},
    {"IsInf", isInf},
    {"Relu", relu},
    {"LeakyRelu", leakyRelu},
    {"Elu", elu},
    {"HardSigmoid", hardSigmoid},
    {"Gelu", gelu},
    {"Swish", swish},
    {"ms.QuickGelu", swish},
    {"Cast", cast},
    {"CastLike", cast},
    {"Identity", identity},
    {"Dropout", dropout},
};

} // namespace

ArrayRef<KernelEntry> unaryKernels() { return entries; }

} // namespace qopt::onnx
