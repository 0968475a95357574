// Numbers of the reference: in f64 as if nothing was ever rounded, and how far
// a device that rounds where its formats say is from that. Errors are carried
// through every operation (running error analysis: Higham, Accuracy and
// Stability of Numerical Algorithms, 3.3), so that a bound is one of this
// program and these numbers, not a tolerance that somebody chose.
//
// What meets in a sum is taken as independent: errors add up as the root of
// their squares (Higham, Mary: A new approach to probabilistic rounding error
// analysis, SIAM J. Sci. Comput. 41, 2019). Their plain sum, which no device
// reaches, says nothing any more behind two linears in 16 bits. In return a
// bound is `reach` times the error. Not independent, and so added up, are
// numbers of a mean over positions (InterpretAttention.cpp), and weights with
// the same code (InterpretWeights.cpp). What is rounded to the next number
// instead is wrong by all of that step: the step is the error, not what `reach`
// times makes the step, or no two of them would be within reach.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TEST_RANDOM_BOUNDED_H
#define QOPT_TEST_RANDOM_BOUNDED_H

#include "mlir/IR/Types.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace qopt::programs {

/// Half of a unit in the last place of an f32, relative.
inline constexpr double roundoff = 0x1p-24;

/// Of how many errors a number of a device may be from the reference's.
inline constexpr double reach = 8;

/// Of errors that have nothing to do with each other; infinite where one is,
/// and where one is no number.
inline double together(double a, double b, double c = 0) {
  double error = std::sqrt(a * a + b * b + c * c);
  return std::isfinite(error) ? error : std::numeric_limits<double>::infinity();
}

/// A number and the error that a device makes in it.
struct Real {
  double value = 0, error = 0;
  double most() const { return std::abs(value) + error; }
  /// Adds an error that has nothing to do with the others.
  void add(double other) { error = together(error, other); }
};

/// The exact product, sum or difference; their rounding is added apart.
inline Real operator*(Real a, Real b) {
  return {a.value * b.value,
          together(a.value * b.error, a.error * b.value, a.error * b.error)};
}
inline Real operator+(Real a, Real b) {
  return {a.value + b.value, together(a.error, b.error)};
}
inline Real operator-(Real a, Real b) {
  return {a.value - b.value, together(a.error, b.error)};
}

struct Bounded {
  std::vector<int64_t> shape;
  std::vector<Real> numbers;

  int64_t columns() const { return shape.empty() ? 1 : shape.back(); }
  int64_t rows() const { return int64_t(numbers.size()) / columns(); }
  Real *row(int64_t index) { return numbers.data() + index * columns(); }
  const Real *row(int64_t index) const {
    return numbers.data() + index * columns();
  }
};

/// What a device of a program rounds to beside the types of its values.
struct Precision {
  bool gpu = false;  ///< a GPU, or the host in its order of sums
  double narrow = 0; ///< relative error of 16 bits of activations; 0: f32
  bool half = false; ///< these are f16, not bf16
};

/// What a sum of `count` terms in f32 loses beside the root of their squares,
/// which is what its parts are like: lanes have at most an eighth of them, and
/// products of tensor cores are cut off, all to one side.
inline double sumError(int64_t count) {
  return (double(count) / 8 + 8) * roundoff;
}

/// The number in a type: f32, f16 or bf16. What f16 has no number for has no
/// bound.
inline Real rounded(Real x, mlir::Type type) {
  double unit = type.isF16() ? 0x1p-11 : type.isBF16() ? 0x1p-8 : 2 * roundoff;
  x.add(unit / 2 * x.most() + (type.isF16() ? 0x1p-26 : 0x1p-126));
  if (type.isF16() && x.most() > 65504)
    x.error = std::numeric_limits<double>::infinity();
  return x;
}

} // namespace qopt::programs

#endif // QOPT_TEST_RANDOM_BOUNDED_H
