// Random numbers that are the same on every machine (splitmix64: Steele, Lea,
// Flood: Fast splittable pseudorandom number generators, OOPSLA 2014).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TEST_RANDOM_NUMBERS_H
#define QOPT_TEST_RANDOM_NUMBERS_H

#include <cstdint>
#include <vector>

namespace qopt::programs {

class Numbers {
public:
  Numbers(uint64_t seed) : state(seed) {}

  uint64_t bits() {
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
  }
  /// 0 … count − 1
  int64_t below(int64_t count) { return int64_t(bits() % uint64_t(count)); }
  /// [0, 1)
  double uniform() { return double(bits() >> 11) * 0x1p-53; }
  bool chance(double probability) { return uniform() < probability; }
  /// Mean 0, variance 1: a sum of twelve, so that nothing is far out.
  double normal() {
    double sum = -6;
    for (int i = 0; i < 12; ++i)
      sum += uniform();
    return sum;
  }
  template <typename T> const T &of(const std::vector<T> &list) {
    return list[size_t(below(int64_t(list.size())))];
  }

private:
  uint64_t state;
};

} // namespace qopt::programs

#endif // QOPT_TEST_RANDOM_NUMBERS_H
