// How products walk through fragments: sixteen lanes of C or D at a time, in
// which an element of A belongs to four neighbours and one of B to every fourth
// lane. Nothing is moved between lanes but within fours.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_NUMERICS_FRAGMENTVECTORS_H
#define QOPT_RUNTIME_EMULATOR_NUMERICS_FRAGMENTVECTORS_H

#include "runtime/emulator/numerics/Fragments.h"

#include <cstddef>
#include <cstring>
#include <utility>

namespace qopt::emulator::numerics {

/// A quarter of C's elements: of four rows the even columns, or the odd ones.
inline constexpr int quarter = 16;
typedef int32_t QuarterInts __attribute__((vector_size(64)));
typedef float QuarterFloats __attribute__((vector_size(64)));

/// What the T-th of four lanes has becomes the value of all four: an element of
/// A for the columns of its row.
template <int T, typename Vector>
inline void spread(const Vector &from, Vector &to) {
  to = __builtin_shufflevector(from, from, T, T, T, T, T + 4, T + 4, T + 4,
                               T + 4, T + 8, T + 8, T + 8, T + 8, T + 12,
                               T + 12, T + 12, T + 12);
}
/// Elements of B, in four columns, for all rows.
template <typename T, typename Vector>
inline void repeat(const T *from, Vector &to) {
  typedef T Four __attribute__((vector_size(16)));
  Four four;
  std::memcpy(&four, from, sizeof four);
  to = __builtin_shufflevector(four, four, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3,
                               0, 1, 2, 3);
}

/// The lanes of a register of B in the order [T][even or odd columns][column /
/// 2].
inline void orderColumns(const uint32_t *from, uint32_t *to) {
  typedef uint32_t Words __attribute__((vector_size(128)));
  Words words;
  std::memcpy(&words, from, sizeof words);
  words = __builtin_shufflevector(words, words, 0, 8, 16, 24, 4, 12, 20, 28, 1,
                                  9, 17, 25, 5, 13, 21, 29, 2, 10, 18, 26, 6,
                                  14, 22, 30, 3, 11, 19, 27, 7, 15, 23, 31);
  std::memcpy(to, &words, sizeof words);
}

/// Calls body<T>(where A's elements of one k lie, where B's, part of k) for all
/// k, in arrays of E elements each register: A's [part of k][upper or lower
/// rows][element][lane], B's [part of k][element][T][even or odd
/// columns][column / 2]. T: in which of four lanes A's are.
template <int Steps, int E, typename Body>
[[gnu::always_inline]] inline void forEachStep(Body body) {
  [&]<int... I>(
      std::integer_sequence<int, I...>) __attribute__((always_inline)) {
    (body.template operator()<I % 4>((I / 4 / E * E + I / 4) * warpLanes,
                                     I / 4 * warpLanes + I % 4 * 8, I / 4 / E),
     ...);
  }(std::make_integer_sequence<int, Steps>());
}

} // namespace qopt::emulator::numerics

#endif // QOPT_RUNTIME_EMULATOR_NUMERICS_FRAGMENTVECTORS_H
