// Elementwise kernels with more than one operand: arithmetic, comparison,
// logic, bits, Where, Min/Max/Sum/Mean, Clip, with numpy broadcasting. Integers
// compute in 64 bits and wrap to their width, floats in double and are rounded
// once.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/Evaluate/Kernel.h"
#include <cmath>
#include <limits>

using namespace mlir;

namespace qopt::onnx {
namespace {

/// Operands read over their common index space.
struct Broadcast {
  HostTensor::Shape shape;

  std::vector<double> floats(const HostTensor &tensor) const {
    return spread(tensor, tensor.floats());
  }
  std::vector<int64_t> ints(const HostTensor &tensor) const {
    return spread(tensor, tensor.ints());
  }

private:
  template <typename T>
  std::vector<T> spread(const HostTensor &tensor, std::vector<T> own) const {
    if (tensor.shape() == ArrayRef<int64_t>(shape))
      return own;
    std::vector<int64_t> positions =
        stridedPositions(shape, broadcastStrides(tensor.shape(), shape));
    std::vector<T> result(positions.size());
    for (size_t i = 0; i < result.size(); ++i)
      result[i] = own[positions[i]];
    return result;
  }
};

StatusOr<Broadcast> broadcastOf(const Call &call) {
  Broadcast result;
  for (size_t i = 0; i < call.inputCount(); ++i) {
    if (!call.has(i))
      continue;
    auto shape = broadcastShapes(result.shape, call.in(i).shape());
    if (!shape)
      return Call::fail("the operands' shapes do not broadcast");
    result.shape = *shape;
  }
  QOPT_RETURN_IF_ERROR(call.admit(result.shape));
  return result;
}

//===--------------------------------------------------------------------===//
// Arithmetic
//===--------------------------------------------------------------------===//

bool unsigned64(const Call &call) {
  return call.in(0).element() == Element::U64;
}

int64_t wrapAdd(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) +
                              static_cast<uint64_t>(b));
}
int64_t wrapSub(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) -
                              static_cast<uint64_t>(b));
}
int64_t wrapMul(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) *
                              static_cast<uint64_t>(b));
}

/// x^n by squaring, wrapping; negative exponents truncate as the real power
/// does.
int64_t intPow(int64_t base, int64_t exponent) {
  if (exponent < 0)
    return base == 1 ? 1 : base == -1 ? (exponent % 2 ? -1 : 1) : 0;
  int64_t result = 1;
  for (; exponent; exponent >>= 1, base = wrapMul(base, base))
    if (exponent & 1)
      result = wrapMul(result, base);
  return result;
}

/// One binary operation on both kinds of numbers.
struct Binary {
  double (*onFloats)(double, double);
  int64_t (*onInts)(int64_t, int64_t);
};

KernelResult binary(const Call &call, Binary operation) {
  StatusOr<Broadcast> space = broadcastOf(call);
  if (!space)
    return space.status();
  Element element = call.element();
  if (!call.data())
    return one(HostTensor::shapeOnly(element, space->shape));
  if (isFloat(call.in(0).element()) || isFloat(call.in(1).element())) {
    if (!operation.onFloats)
      return Call::fail("the operands must be integers or booleans");
    std::vector<double> a = space->floats(call.in(0));
    std::vector<double> b = space->floats(call.in(1));
    for (size_t i = 0; i < a.size(); ++i)
      a[i] = operation.onFloats(a[i], b[i]);
    return one(HostTensor::ofFloats(element, space->shape, a));
  }
  std::vector<int64_t> a = space->ints(call.in(0));
  std::vector<int64_t> b = space->ints(call.in(1));
  for (size_t i = 0; i < a.size(); ++i)
    a[i] = operation.onInts(a[i], b[i]);
  return one(HostTensor::ofInts(element, space->shape, a));
}

KernelResult add(const Call &call) {
  return binary(call, {[](double a, double b) { return a + b; }, wrapAdd});
}
KernelResult sub(const Call &call) {
  return binary(call, {[](double a, double b) { return a - b; }, wrapSub});
}
KernelResult mul(const Call &call) {
  return binary(call, {[](double a, double b) { return a * b; }, wrapMul});
}

Status refuseZeroDivisor(const Call &call) {
  if (call.data() && !isFloat(call.in(1).element()))
    for (int64_t value : call.in(1).ints())
      if (value == 0)
        return Call::fail("an integer is divided by zero");
  return {};
}

KernelResult div(const Call &call) {
  QOPT_RETURN_IF_ERROR(refuseZeroDivisor(call));
  auto real = [](double a, double b) { return a / b; };
  if (unsigned64(call))
    return binary(call,
                  {real, [](int64_t a, int64_t b) {
                     return static_cast<int64_t>(static_cast<uint64_t>(a) /
                                                 static_cast<uint64_t>(b));
                   }});
  return binary(call, {real, [](int64_t a, int64_t b) {
                         return b == -1 ? wrapSub(0, a) : a / b;
                       }});
}

/// fmod = 0: the sign of the divisor (integers); fmod = 1: C's fmod.
KernelResult mod(const Call &call) {
  QOPT_RETURN_IF_ERROR(refuseZeroDivisor(call));
  auto real = [](double a, double b) { return std::fmod(a, b); };
  if (unsigned64(call))
    return binary(call,
                  {real, [](int64_t a, int64_t b) {
                     return static_cast<int64_t>(static_cast<uint64_t>(a) %
                                                 static_cast<uint64_t>(b));
                   }});
  if (call.attr("fmod", 0))
    return binary(
        call, {real, [](int64_t a, int64_t b) { return b == -1 ? 0 : a % b; }});
  return binary(call,
                {[](double a, double b) {
                   double rest = std::fmod(a, b);
                   return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
                 },
                 [](int64_t a, int64_t b) -> int64_t {
                   int64_t rest = b == -1 ? 0 : a % b;
                   return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
                 }});
}

/// The result has the base's type; an integer base with a float exponent
/// computes in floats and truncates.
KernelResult pow(const Call &call) {
  return binary(call,
                {[](double a, double b) { return std::pow(a, b); }, intPow});
}

KernelResult prelu(const Call &call) {
  return binary(
      call,
      {[](double x, double slope) { return x < 0 ? slope * x : x; },
       [](int64_t x, int64_t slope) { return x < 0 ? wrapMul(slope, x) : x; }});
}

//===--------------------------------------------------------------------===//
// Comparison and logic
//===--------------------------------------------------------------------===//

struct Comparison {
  bool (*onFloats)(double, double);
  bool (*onInts)(int64_t, int64_t);
};

KernelResult compare(const Call &call, Comparison comparison) {
  StatusOr<Broadcast> space = broadcastOf(call);
  if (!space)
    return space.status();
  if (!call.data())
    return one(HostTensor::shapeOnly(Element::Bool, space->shape));
  std::vector<int64_t> result(countOf(space->shape));
  if (isFloat(call.in(0).element())) {
    std::vector<double> a = space->floats(call.in(0));
    std::vector<double> b = space->floats(call.in(1));
    for (size_t i = 0; i < result.size(); ++i)
      result[i] = comparison.onFloats(a[i], b[i]);
  } else {
    // Flipping the sign bit orders unsigned values as signed ones.
    int64_t flip =
        unsigned64(call) ? std::numeric_limits<int64_t>::min() : int64_t(0);
    std::vector<int64_t> a = space->ints(call.in(0));
    std::vector<int64_t> b = space->ints(call.in(1));
    for (size_t i = 0; i < result.size(); ++i)
      result[i] = comparison.onInts(a[i] ^ flip, b[i] ^ flip);
  }
  return one(HostTensor::ofInts(Element::Bool, space->shape, result));
}

KernelResult equal(const Call &call) {
  return compare(call, {[](double a, double b) { return a == b; },
                        [](int64_t a, int64_t b) { return a == b; }});
}
KernelResult less(const Call &call) {
  return compare(call, {[](double a, double b) { return a < b; },
                        [](int64_t a, int64_t b) { return a < b; }});
}
KernelResult lessOrEqual(const Call &call) {
  return compare(call, {[](double a, double b) { return a <= b; },
                        [](int64_t a, int64_t b) { return a <= b; }});
}
KernelResult greater(const Call &call) {
  return compare(call, {[](double a, double b) { return a > b; },
                        [](int64_t a, int64_t b) { return a > b; }});
}
KernelResult greaterOrEqual(const Call &call) {
  return compare(call, {[](double a, double b) { return a >= b; },
                        [](int64_t a, int64_t b) { return a >= b; }});
}

/// Booleans and integers alike: the bits of a boolean are 0 and 1.
KernelResult bitwiseAnd(const Call &call) {
  return binary(call, {nullptr, [](int64_t a, int64_t b) { return a & b; }});
}
KernelResult bitwiseOr(const Call &call) {
  return binary(call, {nullptr, [](int64_t a, int64_t b) { return a | b; }});
}
KernelResult bitwiseXor(const Call &call) {
  return binary(call, {nullptr, [](int64_t a, int64_t b) { return a ^ b; }});
}

KernelResult bitShift(const Call &call) {
  if (call.attrString("direction", "LEFT") == "LEFT")
    return binary(call, {nullptr, [](int64_t a, int64_t b) -> int64_t {
                           if (b < 0 || b > 63)
                             return 0;
                           return static_cast<int64_t>(static_cast<uint64_t>(a)
                                                       << b);
                         }});
  if (!isSigned(call.element()))
    return binary(call,
                  {nullptr, [](int64_t a, int64_t b) -> int64_t {
                     if (b < 0 || b > 63)
                       return 0;
                     return static_cast<int64_t>(static_cast<uint64_t>(a) >> b);
                   }});
  // Signed values shift in their sign, as far as one can.
  return binary(call, {nullptr, [](int64_t a, int64_t b) -> int64_t {
                         return a >> (b < 0 || b > 63 ? 63 : b);
                       }});
}

//===--------------------------------------------------------------------===//
// Many operands
//===--------------------------------------------------------------------===//

KernelResult where(const Call &call) {
  StatusOr<Broadcast> space = broadcastOf(call);
  if (!space)
    return space.status();
  if (!call.data())
    return one(HostTensor::shapeOnly(call.element(), space->shape));
  std::vector<int64_t> condition = space->ints(call.in(0));
  auto positionsOf = [&](size_t i) {
    return stridedPositions(space->shape,
                            broadcastStrides(call.in(i).shape(), space->shape));
  };
  HostTensor yes = call.in(1).taken(space->shape, positionsOf(1));
  HostTensor no = call.in(2).taken(space->shape, positionsOf(2));
  unsigned width = widthOf(call.element());
  std::vector<char> bytes(no.bytes().begin(), no.bytes().end());
  for (size_t i = 0; i < condition.size(); ++i)
    if (condition[i])
      std::copy_n(yes.bytes().begin() + i * width, width,
                  bytes.begin() + i * width);
  return one(
      HostTensor::ofBytes(call.element(), space->shape, std::move(bytes)));
}

/// Folds all operands with one binary operation; floats stay wide between.
StatusOr<Results> foldOperands(const Call &call, Binary operation,
                               double divisor = 1) {
  StatusOr<Broadcast> space = broadcastOf(call);
  if (!space)
    return space.status();
  Element element = call.element();
  if (!call.data())
    return one(HostTensor::shapeOnly(element, space->shape));
  if (isFloat(element)) {
    std::vector<double> total = space->floats(call.in(0));
    for (size_t k = 1; k < call.inputCount(); ++k) {
      std::vector<double> next = space->floats(call.in(k));
      for (size_t i = 0; i < total.size(); ++i)
        total[i] = operation.onFloats(total[i], next[i]);
    }
    for (double &value : total)
      value /= divisor;
    return one(HostTensor::ofFloats(element, space->shape, total));
  }
  std::vector<int64_t> total = space->ints(call.in(0));
  for (size_t k = 1; k < call.inputCount(); ++k) {
    std::vector<int64_t> next = space->ints(call.in(k));
    for (size_t i = 0; i < total.size(); ++i)
      total[i] = operation.onInts(total[i], next[i]);
  }
  return one(HostTensor::ofInts(element, space->shape, total));
}

double minNan(double a, double b) {
  return std::isnan(a) || std::isnan(b) ? NAN : std::min(a, b);
}
double maxNan(double a, double b) {
  return std::isnan(a) || std::isnan(b) ? NAN : std::max(a, b);
}

KernelResult min(const Call &call) {
  if (unsigned64(call))
    return foldOperands(call, {minNan, [](int64_t a, int64_t b) {
                                 return static_cast<uint64_t>(a) <
                                                static_cast<uint64_t>(b)
                                            ? a
                                            : b;
                               }});
  return foldOperands(
      call, {minNan, [](int64_t a, int64_t b) { return std::min(a, b); }});
}
KernelResult max(const Call &call) {
  if (unsigned64(call))
    return foldOperands(call, {maxNan, [](int64_t a, int64_t b) {
                                 return static_cast<uint64_t>(a) >
                                                static_cast<uint64_t>(b)
                                            ? a
                                            : b;
                               }});
  return foldOperands(
      call, {maxNan, [](int64_t a, int64_t b) { return std::max(a, b); }});
}
KernelResult sum(const Call &call) {
  return foldOperands(call,
                      {[](double a, double b) { return a + b; }, wrapAdd});
}
KernelResult mean(const Call &call) {
  return foldOperands(call, {[](double a, double b) { return a + b; }, wrapAdd},
                      static_cast<double>(call.inputCount()));
}

KernelResult clip(const Call &call) {
  ArrayRef<int64_t> shape = call.in(0).shape();
  QOPT_RETURN_IF_ERROR(call.admit(shape));
  if (!call.data())
    return one(HostTensor::shapeOnly(call.element(), shape));
  if (isFloat(call.element())) {
    double low = call.has(1) ? call.in(1).floatAt(0) : -INFINITY;
    double high = call.has(2) ? call.in(2).floatAt(0) : INFINITY;
    std::vector<double> values = call.in(0).floats();
    for (double &value : values)
      if (!std::isnan(value))
        value = std::min(std::max(value, low), high);
    return one(HostTensor::ofFloats(call.element(), shape, values));
  }
  auto [lowest, highest] = rangeOf(call.element());
  int64_t low = call.has(1) ? call.in(1).intAt(0) : lowest;
  int64_t high = call.has(2) ? call.in(2).intAt(0) : highest;
  std::vector<int64_t> values = call.in(0).ints();
  for (int64_t &value : values)
    value = std::min(std::max(value, low), high);
  return one(HostTensor::ofInts(call.element(), shape, values));
}

constexpr KernelEntry entries[] = {
    {"Add", add},
    {"Sub", sub},
    {"Mul", mul},
    {"Div", div},
    {"Mod", mod},
    {"Pow", pow},
    {"PRelu", prelu},
    {"Equal", equal},
    {"Less", less},
    {"LessOrEqual", lessOrEqual},
    {"Greater", greater},
    {"GreaterOrEqual", greaterOrEqual},
    {"And", bitwiseAnd},
    {"Or", bitwiseOr},
    {"Xor", bitwiseXor},
    {"BitwiseAnd", bitwiseAnd},
    {"BitwiseOr", bitwiseOr},
    {"BitwiseXor", bitwiseXor},
    {"BitShift", bitShift},
    {"Where", where},
    {"Min", min},
    {"Max", max},
    {"Sum", sum},
    {"Mean", mean},
    {"Clip", clip},
};

} // namespace

ArrayRef<KernelEntry> elementwiseKernels() { return entries; }

} // namespace qopt::onnx
