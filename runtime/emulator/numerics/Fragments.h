// Where the matrices of mma.sync lie in the registers of a warp. A register
// holds E elements of 32 / E bits; lane 4g + t has of A the rows g and g + 8,
// of B the column g, and there the columns (of B: rows) from t · E on (PTX ISA,
// matrix fragments):
//
//        A, 16 × K                            B, K × 8         C and D, 16 × 8
//   k:   0 … 4E−1   4E … 8E−1           n:     0 … 7        n:   2t  2t+1
//   row g      register 0 | register 2    k < 4E: register 0    row g    0   1
//   row g + 8  register 1 | register 3    above:  register 1    row g+8  2   3
//
// Halves of C and D share a register: rows g have 0, the others 1.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_NUMERICS_FRAGMENTS_H
#define QOPT_RUNTIME_EMULATOR_NUMERICS_FRAGMENTS_H

#include <cstdint>

namespace qopt::emulator::numerics {

inline constexpr int warpLanes = 32;

/// Of one element; `element` counts from a register's lowest bits on.
struct FragmentPlace {
  int number; ///< of the register, in its matrix
  int lane;
  int element;
};

/// An element's code: 16 bits, or for tf32 the upper 19 of 32.
template <typename Code> constexpr Code codeOf(uint32_t word, int element) {
  return Code(sizeof(Code) == 4 ? word >> 13 : word >> 16 * element);
}

template <int E> constexpr FragmentPlace placeInA(int row, int k) {
  return {k / (4 * E) * 2 + row / 8, row % 8 * 4 + k % (4 * E) / E, k % E};
}
template <int E> constexpr FragmentPlace placeInB(int k, int column) {
  return {k / (4 * E), column * 4 + k % (4 * E) / E, k % E};
}
template <int E> constexpr FragmentPlace placeInC(int row, int column) {
  const int lane = row % 8 * 4 + column / 2;
  return E == 1 ? FragmentPlace{row / 8 * 2 + column % 2, lane, 0}
                : FragmentPlace{row / 8, lane, column % 2};
}

} // namespace qopt::emulator::numerics

#endif // QOPT_RUNTIME_EMULATOR_NUMERICS_FRAGMENTS_H
