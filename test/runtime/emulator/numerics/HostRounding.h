// An oracle for IEEE arithmetic that shares nothing with the code under test:
// the host's floating point unit, set to the rounding asked for.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TEST_RUNTIME_EMULATOR_NUMERICS_HOSTROUNDING_H
#define QOPT_TEST_RUNTIME_EMULATOR_NUMERICS_HOSTROUNDING_H

#include "runtime/emulator/numerics/Rounding.h"
#include <cstring>

namespace qopt::emulator::numerics::host {

float add(float a, float b, Rounding r);
float multiply(float a, float b, Rounding r);
float fma(float a, float b, float c, Rounding r);
float divide(float a, float b, Rounding r);
float squareRoot(float a, Rounding r);
double add(double a, double b, Rounding r);
double multiply(double a, double b, Rounding r);
double fma(double a, double b, double c, Rounding r);
double divide(double a, double b, Rounding r);
double squareRoot(double a, Rounding r);
float toFloat(double a, Rounding r);
float toFloat(int64_t a, Rounding r);
double toDouble(int64_t a, Rounding r);
double toIntegral(double a, Rounding r);

} // namespace qopt::emulator::numerics::host

namespace qopt::emulator::numerics {

/// Seeded bits without structure (splitmix64).
class Random {
public:
  explicit Random(uint64_t seed) : state(seed) {}
  uint64_t bits() {
    uint64_t z = state += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
  }
  uint64_t below(uint64_t end) { return bits() % end; }

  /// Bits of all exponents and of few, special values now and then.
  float anyFloat() {
    static const uint32_t special[] = {
        0,          0x80000000, 1,          0x80000001, 0x7fffff,
        0x800000,   0x7f7fffff, 0xff7fffff, 0x7f800000, 0xff800000,
        0x7fc00001, 0x3f800000, 0xbf800000, 0x3f7fffff, 0x00800001};
    uint32_t b = uint32_t(bits());
    switch (below(8)) {
    case 0:
      b = special[below(sizeof(special) / 4)];
      break;
    case 1:
      b = (b & 0x807fffff) | uint32_t(below(30)) << 23; // tiny
      break;
    case 2:
    case 3:
      b = (b & 0x807fffff) | uint32_t(112 + below(30)) << 23; // near 1
      break;
    case 4:
      b &= 0xffff0000; // few bits: ties
      break;
    default:
      break;
    }
    return std::bit_cast<float>(b);
  }
  double anyDouble() {
    uint64_t b = bits();
    switch (below(8)) {
    case 0: {
      const float f = anyFloat();
      return double(f);
    }
    case 1:
      b = (b & 0x800fffffffffffffull) | below(120) << 52;
      break;
    case 2:
    case 3:
      b = (b & 0x800fffffffffffffull) | (1000 + below(60)) << 52;
      break;
    case 4:
      b &= 0xffffffff00000000ull;
      break;
    case 5:
      b = (b & 0x800fffffffffffffull) | (1900 + below(147)) << 52;
      break;
    default:
      break;
    }
    return std::bit_cast<double>(b);
  }

private:
  uint64_t state;
};

/// Equal bits, or both NaN.
inline bool same(float a, float b) {
  return std::memcmp(&a, &b, sizeof a) == 0 || (a != a && b != b);
}
inline bool same(double a, double b) {
  return std::memcmp(&a, &b, sizeof a) == 0 || (a != a && b != b);
}

} // namespace qopt::emulator::numerics

#endif // QOPT_TEST_RUNTIME_EMULATOR_NUMERICS_HOSTROUNDING_H
