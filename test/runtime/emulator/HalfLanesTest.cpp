// Whole warps of pairs of halves, compiled for the processor's vectors, give
// the bits of one half after the other.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/ops/HalfLanes.h"
#include "runtime/emulator/numerics/Half.h"

#include <gtest/gtest.h>

#include <random>

namespace qopt::emulator {
namespace {

using namespace numerics;

TEST(HalfLanes, SameBitsAsOneByOne) {
  std::mt19937 random(1);
  for (int round = 0; round < 5000; ++round) {
    uint32_t a[32], b[32], c[32], sum[32], product[32], fused[32];
    for (int i = 0; i < 32; ++i) {
      a[i] = random();
      b[i] = random();
      c[i] = random();
    }
    halfLanes().add(a, b, sum);
    halfLanes().multiply(a, b, product);
    halfLanes().fusedMultiplyAdd(a, b, c, fused);
    for (int i = 0; i < 64; ++i) {
      auto half = [&](const uint32_t *words) {
        return uint16_t(words[i / 2] >> 16 * (i % 2));
      };
      uint16_t x = half(a), y = half(b), z = half(c);
      ASSERT_EQ(half(sum), addHalf<Float16>(x, y)) << x << " " << y;
      ASSERT_EQ(half(product), multiplyHalf<Float16>(x, y)) << x << " " << y;
      ASSERT_EQ(half(fused), (fusedMultiplyAddHalf<Float16>(x, y, z)))
          << x << " " << y << " " << z;
    }
  }
}

} // namespace
} // namespace qopt::emulator
