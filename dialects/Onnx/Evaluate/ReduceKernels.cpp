// Reductions over axes: sums, products, extremes, means and norms. Floats
// accumulate in double.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/Evaluate/Kernel.h"
#include <cmath>
#include <limits>

using namespace mlir;

namespace qopt::onnx {
namespace {

using Shape = HostTensor::Shape;

/// Which axes a reduction removes: operand 1, or the attribute of old opsets;
/// none given means all, or nothing with noop_with_empty_axes.
StatusOr<Shape> reducedAxes(const Call &call) {
  int64_t rank = call.in(0).rank();
  Shape axes = call.attrInts("axes");
  if (call.has(1)) {
    std::vector<int64_t> given = call.in(1).ints();
    axes.assign(given.begin(), given.end());
  }
  if (axes.empty() && !call.attr("noop_with_empty_axes", 0))
    for (int64_t d = 0; d < rank; ++d)
      axes.push_back(d);
  for (int64_t &value : axes) {
    StatusOr<int64_t> axis = call.axis(value, rank);
    if (!axis)
      return axis.status();
    value = *axis;
  }
  return axes;
}

/// How a reduction folds: start, step, and what is made of the sum in the end.
struct Reduction {
  double start;
  double (*step)(double, double);
  double (*finish)(double, double count);
};

double keep(double total, double) { return total; }

/// Integers go through double where they fit; 64-bit sums keep their bits.
KernelResult reduceInts(const Call &call, ArrayRef<int64_t> shape,
                        ArrayRef<int64_t> target, const Reduction &reduction,
                        double each) {
  bool sums = call.name() == "ReduceSum";
  bool products = call.name() == "ReduceProd";
  std::vector<int64_t> values = call.in(0).ints();
  int64_t count = countOf(shape);
  std::vector<uint64_t> exact(count, products ? 1 : 0);
  std::vector<double> total(count, reduction.start);
  for (size_t i = 0; i < values.size(); ++i) {
    auto value = static_cast<uint64_t>(values[i]);
    if (sums)
      exact[target[i]] += value;
    else if (products)
      exact[target[i]] *= value;
    else
      total[target[i]] =
          reduction.step(total[target[i]], static_cast<double>(values[i]));
  }
  if (!sums && !products) {
    auto [lowest, highest] = rangeOf(call.element());
    for (double &value : total) // the extreme of nothing is that of the type
      value = std::min(
          std::max(reduction.finish(value, each), static_cast<double>(lowest)),
          static_cast<double>(highest));
    return one(HostTensor::ofFloats(call.element(), shape, total));
  }
  std::vector<int64_t> result(exact.begin(), exact.end());
  return one(HostTensor::ofInts(call.element(), shape, result));
}

KernelResult reduce(const Call &call, Reduction reduction) {
  StatusOr<Shape> axes = reducedAxes(call);
  if (!axes)
    return axes.status();
  ArrayRef<int64_t> from = call.in(0).shape();
  Shape kept(from), dropped;
  double each = 1;
  for (int64_t d = 0; d < static_cast<int64_t>(from.size()); ++d) {
    if (!llvm::is_contained(*axes, d)) {
      dropped.push_back(from[d]);
      continue;
    }
    each *= static_cast<double>(from[d]);
    kept[d] = 1;
  }
  Shape shape = call.attr("keepdims", 1) ? kept : dropped;
  QOPT_RETURN_IF_ERROR(call.admit(shape));
  if (!call.data())
    return one(HostTensor::shapeOnly(call.element(), shape));
  std::vector<int64_t> target =
      stridedPositions(from, broadcastStrides(kept, from));
  if (!isFloat(call.element()))
    return reduceInts(call, shape, target, reduction, each);
  std::vector<double> values = call.in(0).floats();
  std::vector<double> total(countOf(shape), reduction.start);
  for (size_t i = 0; i < values.size(); ++i)
    total[target[i]] = reduction.step(total[target[i]], values[i]);
  for (double &value : total)
    value = reduction.finish(value, each);
  return one(HostTensor::ofFloats(call.element(), shape, total));
}

double plus(double total, double x) { return total + x; }
double squares(double total, double x) { return total + x * x; }
constexpr double infinity = std::numeric_limits<double>::infinity();

KernelResult reduceSum(const Call &call) {
  return reduce(call, {0, plus, keep});
}
KernelResult reduceMean(const Call &call) {
  return reduce(call, {0, plus, [](double total, double count) {
                         return total / count;
                       }});
}
KernelResult reduceProd(const Call &call) {
  return reduce(call, {1, [](double a, double x) { return a * x; }, keep});
}
KernelResult reduceMax(const Call &call) {
  return reduce(call, {-infinity,
                       [](double a, double x) {
                         return std::isnan(a) || std::isnan(x) ? NAN
                                                               : std::max(a, x);
                       },
                       keep});
}
KernelResult reduceMin(const Call &call) {
  return reduce(call, {infinity,
                       [](double a, double x) {
                         return std::isnan(a) || std::isnan(x) ? NAN
                                                               : std::min(a, x);
                       },
                       keep});
}
KernelResult reduceL1(const Call &call) {
  return reduce(call,
                {0, [](double a, double x) { return a + std::abs(x); }, keep});
}
KernelResult reduceL2(const Call &call) {
  return reduce(call, {0, squares,
                       [](double total, double) { return std::sqrt(total); }});
}
KernelResult reduceSumSquare(const Call &call) {
  return reduce(call, {0, squares, keep});
}
KernelResult reduceLogSum(const Call &call) {
  return reduce(
      call, {0, plus, [](double total, double) { return std::log(total); }});
}
KernelResult reduceLogSumExp(const Call &call) {
  return reduce(call, {0, [](double a, double x) { return a + std::exp(x); },
                       [](double total, double) { return std::log(total); }});
}

constexpr KernelEntry entries[] = {
    {"ReduceSum", reduceSum, 0b10},
    {"ReduceMean", reduceMean, 0b10},
    {"ReduceProd", reduceProd, 0b10},
    {"ReduceMax", reduceMax, 0b10},
    {"ReduceMin", reduceMin, 0b10},
    {"ReduceL1", reduceL1, 0b10},
    {"ReduceL2", reduceL2, 0b10},
    {"ReduceSumSquare", reduceSumSquare, 0b10},
    {"ReduceLogSum", reduceLogSum, 0b10},
    {"ReduceLogSumExp", reduceLogSumExp, 0b10},
};

} // namespace

ArrayRef<KernelEntry> reduceKernels() { return entries; }

} // namespace qopt::onnx
