// f64 arithmetic in the directed roundings gives the bits of the host's own
// unit over the whole range.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/numerics/Float64.h"
#include "HostRounding.h"
#include <gtest/gtest.h>

using namespace qopt::emulator::numerics;

template <Rounding R> static void compareWithHost() {
  Random random(10 + int(R));
  for (int i = 0; i < 200000; ++i) {
    const double a = random.anyDouble(), b = random.anyDouble();
    const double c = i % 3 ? random.anyDouble() : -(a * b);
    ASSERT_TRUE(same(add<R>(a, b), host::add(a, b, R))) << a << " + " << b;
    ASSERT_TRUE(same(subtract<R>(a, a), host::add(a, -a, R))) << a;
    ASSERT_TRUE(same(multiply<R>(a, b), host::multiply(a, b, R)))
        << a << " * " << b;
    ASSERT_TRUE(same(fusedMultiplyAdd<R>(a, b, c), host::fma(a, b, c, R)))
        << a << " * " << b << " + " << c;
    ASSERT_TRUE(same(divide<R>(a, b), host::divide(a, b, R)))
        << a << " / " << b;
    ASSERT_TRUE(same(reciprocal<R>(a), host::divide(1.0, a, R))) << a;
    ASSERT_TRUE(same(squareRoot<R>(a), host::squareRoot(a, R))) << a;
  }
}

TEST(Float64, RoundsToNearest) { compareWithHost<Rounding::NearestEven>(); }
TEST(Float64, RoundsTowardZero) { compareWithHost<Rounding::Zero>(); }
TEST(Float64, RoundsDown) { compareWithHost<Rounding::Down>(); }
TEST(Float64, RoundsUp) { compareWithHost<Rounding::Up>(); }
