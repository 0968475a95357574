// The products of mma.sync of e4m3 and e5m2 on fragments, for which Hopper has
// no unit: the compiler makes products of f16 of them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_NUMERICS_FP8PRODUCT_H
#define QOPT_RUNTIME_EMULATOR_NUMERICS_FP8PRODUCT_H

#include "runtime/emulator/numerics/MatrixProduct.h"

namespace qopt::emulator::numerics {

/// Two sums in a register, or one: added as FADD and HADD2 do.
inline uint32_t addSums(uint32_t a, uint32_t b, float) {
  return std::bit_cast<uint32_t>(
      canonical(std::bit_cast<float>(a) + std::bit_cast<float>(b)));
}
inline uint32_t addSums(uint32_t a, uint32_t b, uint16_t) {
  auto half = [&](int shift) {
    return uint32_t(
        addHalf<Float16>(uint16_t(a >> shift), uint16_t(b >> shift)));
  };
  return half(0) | half(16) << 16;
}

/// d = a · b + c for k of 16 or 32 of e4m3 and e5m2, as code for Hopper does
/// it: the operands become f16; one product of the k with k mod 4 < 2, a second
/// of the others on top of it, and c is added to that.
template <typename FormatA, typename FormatB, int K = 32,
          typename Accumulator = float>
inline void multiplyFp8Fragments(const uint32_t *const *sources,
                                 uint32_t *const *results) {
  constexpr int inB = K / 8, operands = inB * 3 / 2;
  constexpr int sums = std::is_same_v<Accumulator, float> ? 4 : 2;
  uint32_t halves[2][operands][warpLanes], totals[sums][warpLanes] = {};
  for (int i = 0; i < operands; ++i)
    for (int lane = 0; lane < warpLanes; ++lane)
      for (int k = 0; k < 4; k += 2) {
        const uint32_t codes = sources[i][lane] >> 8 * k;
        const auto code = [&](int shift) {
          const uint8_t byte = uint8_t(codes >> shift);
          return uint32_t(
              toHalf(i < inB ? widen<FormatA>(byte) : widen<FormatB>(byte)));
        };
        halves[k / 2][i][lane] = code(0) | code(8) << 16;
      }
  uint32_t *to[sums];
  for (int i = 0; i < sums; ++i)
    to[i] = totals[i];
  for (auto &operand : halves) {
    const uint32_t *from[operands + sums];
    for (int i = 0; i < operands; ++i)
      from[i] = operand[i];
    std::copy_n(to, sums, from + operands);
    multiplyFragments<Float16, K / 2, Accumulator>(from, to);
  }
  for (int i = 0; i < sums; ++i)
    for (int lane = 0; lane < warpLanes; ++lane)
      results[i][lane] =
          addSums(totals[i][lane], sources[operands + i][lane], Accumulator());
}

} // namespace qopt::emulator::numerics

#endif // QOPT_RUNTIME_EMULATOR_NUMERICS_FP8PRODUCT_H
