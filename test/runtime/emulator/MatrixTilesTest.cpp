// The products of fragments for the processor's vectors give the bits of the
// plain ones.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/ops/MatrixTiles.h"
#include "runtime/emulator/numerics/MatrixProduct.h"

#include <gtest/gtest.h>

#include <random>
#include <span>

namespace qopt::emulator {
namespace {

constexpr int lanes = numerics::warpLanes;

template <typename Format>
void compareFragments(FragmentProduct fast, uint16_t keep, uint16_t low) {
  constexpr int operands = 6, sums = 4;
  std::mt19937 random(1);
  for (int round = 0; round < 2000; ++round) {
    uint32_t registers[operands + sums][lanes], plainSums[sums][lanes];
    // Numbers of like exponents in most rounds, any bits in the others.
    const bool any = round % 4 == 0;
    for (uint32_t &pair : std::span(registers[0], operands * lanes))
      pair = any ? uint32_t(random())
                 : (uint32_t(random()) & keep * 0x10001u) | low * 0x10001u;
    for (uint32_t &sum : std::span(registers[operands], sums * lanes))
      sum = std::bit_cast<uint32_t>(float(int32_t(random())) * 0x1p-20f);
    const uint32_t *sources[operands + sums];
    uint32_t *inPlace[sums], *plainResults[sums];
    for (int i = 0; i < operands + sums; ++i)
      sources[i] = registers[i];
    for (int i = 0; i < sums; ++i) {
      inPlace[i] = registers[operands + i];
      plainResults[i] = plainSums[i];
    }
    numerics::multiplyFragments<Format, 16, float>(sources, plainResults);
    fast(sources, inPlace);
    for (int i = 0; i < sums; ++i)
      for (int lane = 0; lane < lanes; ++lane)
        ASSERT_EQ(inPlace[i][lane], plainSums[i][lane])
            << "round " << round << " register " << i << " lane " << lane;
  }
}

TEST(MatrixTiles, SameBitsAsPlain) {
  compareFragments<numerics::Float16>(fragmentProducts().half, 0x8fff, 0x3000);
  compareFragments<numerics::Bfloat16>(fragmentProducts().bfloat, 0x83ff,
                                       0x3c00);
}

} // namespace
} // namespace qopt::emulator
