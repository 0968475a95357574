// Philox4x32-10, a counter-based random generator (Salmon, Moraes, Dror, Shaw:
// Parallel random numbers: as easy as 1, 2, 3, SC'11): a keyed function from a
// 128-bit counter to 128 random bits, with no state to keep or to order.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_PHILOX_H
#define QOPT_RUNTIME_PHILOX_H

#include <array>
#include <cstdint>

namespace qopt::runtime {

inline std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter,
                                      uint64_t seed) {
  auto key0 = uint32_t(seed), key1 = uint32_t(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    uint64_t left = uint64_t(0xd2511f53) * counter[0];
    uint64_t right = uint64_t(0xcd9e8d57) * counter[2];
    counter = {uint32_t(right >> 32) ^ counter[1] ^ key0, uint32_t(right),
               uint32_t(left >> 32) ^ counter[3] ^ key1, uint32_t(left)};
    key0 += 0x9e3779b9; // the golden ratio and the square root of 3, minus one
    key1 += 0xbb67ae85;
  }
  return counter;
}

/// Number `index` of the stream of `seed`, uniform in [0, 1), a multiple of
/// 2^-53.
inline double uniform(uint64_t seed, uint64_t index) {
  std::array<uint32_t, 4> bits =
      philox({uint32_t(index), uint32_t(index >> 32), 0, 0}, seed);
  uint64_t mantissa = (uint64_t(bits[1]) << 32 | bits[0]) >> 11;
  return double(mantissa) * 0x1p-53;
}

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_PHILOX_H
