// Formulas in which nothing cancels.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Builder/Functions.h"
#include "lib/Kernels/Builder/Elements.h"

using namespace qopt;
using namespace qopt::kernels;

constexpr double log2OfE = 1.4426950408889634;

Real kernels::sigmoid(Real x) {
  Kernel &k = *x.kernel;
  return reciprocal(k.real(1) + exp2(x * -log2OfE));
}

/// Near zero x − x³/3 + 2x⁵/15 − 17x⁷/315 + 62x⁹/2835, elsewhere
/// 1 − 2/(1 + e^2|x|) with the sign of x.
Real kernels::hyperbolicTangent(Real x) {
  Kernel &k = *x.kernel;
  Real u = x * x;
  Real series = k.real(62.0 / 2835);
  for (double term : {-17.0 / 315, 2.0 / 15, -1.0 / 3})
    series = fma(series, u, k.real(term));
  series = fma(series * u, x, x);
  Real size = absolute(x);
  Real tail = reciprocal(k.real(1) + exp2(size * (2 * log2OfE)));
  Real far = fma(tail, k.real(-2), k.real(1));
  far = select(x > k.real(0), far, far * -1);
  return select(size > k.real(0.25), far, series);
}

/// W. J. Cody's idea in the Chebyshev form of Numerical Recipes (erfcc):
/// t · exp(−x² + p(t)) with t = 1 / (1 + x/2).
Real kernels::complementaryError(Real x) {
  Kernel &k = *x.kernel;
  Real t = reciprocal(fma(x, k.real(0.5), k.real(1)));
  Real p = k.real(0.17087277);
  for (double term :
       {-0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806,
        0.09678418, 0.37409196, 1.00002368, -1.26551223})
    p = fma(p, t, k.real(term));
  return t * exp2(fma(x * -1, x, p) * log2OfE);
}

/// max(x, 0) − |x|/2 · erfc(|x|/√2), which is exact at both ends.
Real kernels::gelu(Real x) {
  Kernel &k = *x.kernel;
  Real size = absolute(x);
  Real tail = complementaryError(size * 0.70710678118654752);
  return fma(size * -0.5, tail, max(x, k.real(0)));
}

/// (1 + tanh u) / 2 is σ(2u).
Real kernels::geluTanh(Real x) {
  Real cubic = x * x * (x * 0.044715);
  return x * sigmoid((x + cubic) * (2 * 0.79788456080286536));
}

Real kernels::activate(Function function, Real x) {
  Kernel &k = *x.kernel;
  switch (function) {
  case Function::Silu:
    return x * sigmoid(x);
  case Function::GeluErf:
    return gelu(x);
  case Function::GeluTanh:
    return geluTanh(x);
  case Function::GeluQuick:
    return x * sigmoid(x * 1.702);
  case Function::Relu:
    return select(k.real(0) > x, k.real(0), x); // max would lose NaN
  case Function::Tanh:
    return hyperbolicTangent(x);
  case Function::Sigmoid:
    break;
  }
  return sigmoid(x);
}

Real kernels::gated(Function function, Real gate, Real up, mlir::Type type) {
  Run rounded = roundRun(*gate.kernel, {gate, up}, type);
  return activate(function, rounded[0]) * rounded[1];
}
