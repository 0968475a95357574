// The operations of HostRounding.h. Operands are volatile, so that nothing is
// computed at compile time or moved across the change of the rounding mode.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "HostRounding.h"
#include <cfenv>

namespace qopt::emulator::numerics::host {

namespace {
class Mode {
public:
  explicit Mode(Rounding r) : before(std::fegetround()) {
    const int modes[] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD};
    std::fesetround(modes[int(r)]);
  }
  ~Mode() { std::fesetround(before); }

private:
  int before;
};
} // namespace

#define QOPT_BINARY(NAME, TYPE, EXPRESSION)                                    \
  TYPE NAME(TYPE a, TYPE b, Rounding r) {                                      \
    volatile TYPE x = a, y = b;                                                \
    Mode mode(r);                                                              \
    volatile TYPE result = EXPRESSION;                                         \
    return result;                                                             \
  }
QOPT_BINARY(add, float, x + y)
QOPT_BINARY(add, double, x + y)
QOPT_BINARY(multiply, float, x *y)
QOPT_BINARY(multiply, double, x *y)
QOPT_BINARY(divide, float, x / y)
QOPT_BINARY(divide, double, x / y)

#define QOPT_UNARY(NAME, FROM, TO, EXPRESSION)                                 \
  TO NAME(FROM a, Rounding r) {                                                \
    volatile FROM x = a;                                                       \
    Mode mode(r);                                                              \
    volatile TO result = EXPRESSION;                                           \
    return result;                                                             \
  }
QOPT_UNARY(squareRoot, float, float, std::sqrt(float(x)))
QOPT_UNARY(squareRoot, double, double, std::sqrt(double(x)))
QOPT_UNARY(toFloat, double, float, float(x))
QOPT_UNARY(toFloat, int64_t, float, float(x))
QOPT_UNARY(toDouble, int64_t, double, double(x))
QOPT_UNARY(toIntegral, double, double, std::nearbyint(double(x)))

float fma(float a, float b, float c, Rounding r) {
  volatile float x = a, y = b, z = c;
  Mode mode(r);
  volatile float result = std::fma(float(x), float(y), float(z));
  return result;
}
double fma(double a, double b, double c, Rounding r) {
  volatile double x = a, y = b, z = c;
  Mode mode(r);
  volatile double result = std::fma(double(x), double(y), double(z));
  return result;
}

} // namespace qopt::emulator::numerics::host
