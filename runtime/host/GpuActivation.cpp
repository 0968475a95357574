// Functions as GPUs' kernels compute them: the formulas are those of
// lib/Kernels/Builder/Functions.cpp, each step rounded to f32.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/numerics/Approximate.h"
#include "runtime/host/Activation.h"

#include <cmath>

namespace qopt::host {

static float exp2Of(float x) {
  return emulator::numerics::exponential2<true>(x);
}
static float reciprocalOf(float x) {
  return emulator::numerics::reciprocalApproximate<true>(x);
}

constexpr double log2OfE = 1.4426950408889634;

static float sigmoid(float x) {
  float power = exp2Of(x * float(-log2OfE));
  return reciprocalOf(1 + power);
}

static float hyperbolicTangent(float x) {
  float u = x * x, series = float(62.0 / 2835);
  for (double term : {-17.0 / 315, 2.0 / 15, -1.0 / 3})
    series = std::fma(series, u, float(term));
  float cubic = series * u;
  series = std::fma(cubic, x, x);
  float size = std::fabs(x), power = exp2Of(size * float(2 * log2OfE));
  float far = std::fma(reciprocalOf(1 + power), -2.0f, 1.0f);
  return size > 0.25f ? (x > 0 ? far : -far) : series;
}

static float complementaryError(float x) {
  float t = reciprocalOf(std::fma(x, 0.5f, 1.0f)), p = float(0.17087277);
  for (double term :
       {-0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806,
        0.09678418, 0.37409196, 1.00002368, -1.26551223})
    p = std::fma(p, t, float(term));
  float exponent = std::fma(-x, x, p);
  return t * exp2Of(exponent * float(log2OfE));
}

static float gelu(float x) {
  float size = std::fabs(x);
  float tail = complementaryError(size * float(0.70710678118654752));
  float half = size * -0.5f;
  return std::fma(half, tail, std::fmax(x, 0.0f));
}

static float geluTanh(float x) {
  float square = x * x, part = x * float(0.044715);
  float cubic = square * part, inner = x + cubic;
  return x * sigmoid(inner * float(2 * 0.79788456080286536));
}

float gpuActivation(ActivationKind kind, float x) {
  switch (kind) {
  case ActivationKind::Silu:
    return x * sigmoid(x);
  case ActivationKind::GeluErf:
    return gelu(x);
  case ActivationKind::GeluTanh:
    return geluTanh(x);
  case ActivationKind::GeluQuick:
    return x * sigmoid(x * 1.702f);
  case ActivationKind::Relu:
    return x < 0 ? 0 : x;
  case ActivationKind::Tanh:
    return hyperbolicTangent(x);
  case ActivationKind::Sigmoid:
    break;
  }
  return sigmoid(x);
}

} // namespace qopt::host
