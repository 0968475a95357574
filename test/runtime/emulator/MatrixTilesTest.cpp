// The tile products for the processor's vectors give the bits of the plain
// ones.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/ops/MatrixTiles.h"
#include "runtime/emulator/numerics/MatrixProduct.h"

#include <gtest/gtest.h>

#include <random>

namespace qopt::emulator {
namespace {

template <typename Format>
void compareTiles(TileProduct fast, uint16_t keep, uint16_t low) {
  std::mt19937 random(1);
  for (int round = 0; round < 2000; ++round) {
    uint16_t a[16 * 16], b[16 * 8];
    float c[16 * 8], fastSums[16 * 8], plainSums[16 * 8];
    // Numbers of like exponents in most rounds, any bits in the others.
    bool any = round % 4 == 0;
    auto code = [&] {
      auto bits = uint16_t(random());
      return any ? bits : uint16_t((bits & keep) | low);
    };
    for (uint16_t &value : a)
      value = code();
    for (uint16_t &value : b)
      value = code();
    for (float &value : c)
      value = float(int32_t(random())) * 0x1p-20f;
    fast(a, b, c, fastSums);
    numerics::multiplyTile<Format, 16>(a, b, c, plainSums);
    for (int i = 0; i < 16 * 8; ++i)
      ASSERT_EQ(std::bit_cast<uint32_t>(fastSums[i]),
                std::bit_cast<uint32_t>(plainSums[i]))
          << "round " << round << " element " << i;
  }
}

TEST(MatrixTiles, SameBitsAsPlain) {
  compareTiles<numerics::Float16>(tileProducts().half, 0x8fff, 0x3000);
  compareTiles<numerics::Bfloat16>(tileProducts().bfloat, 0x83ff, 0x3c00);
}

} // namespace
} // namespace qopt::emulator
