// Rounding to codes of numbers that are known up to an error: where all that a
// device may have is given the same code the error is gone, else it reaches as
// far as the other code. lib/Quant/VectorCodes.h and
// dialects/QOpt/QuantOps.td have the formulas.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TEST_RANDOM_CODES_H
#define QOPT_TEST_RANDOM_CODES_H

#include "Bounded.h"
#include "lib/Quant/Format.h"

#include <span>

namespace qopt::programs {

/// What numbers that share a scale are rounded to.
struct Grid {
  Real scale, offset;
  /// How far from these a device's may be; a step of a type more or less is
  /// one error, not the eighth part of what is within reach.
  double scaleReach = 0, offsetReach = 0;
  double lowest = 0, highest = 0; ///< codes
  bool integers = true;           ///< else numbers of e4m3

  /// What a code stands for.
  struct Number {
    Real real;
    double size;  ///< the magnitude of the terms that it is a sum of
    double other; ///< the error that another code adds; 0 where it is certain
    bool tied;    ///< no more than the rounding of quotients decides it
  };
  Number operator()(Real x) const;
};

/// Of entries of a cache: f16 scales.
Grid cacheGrid(const quant::Format &format, std::span<const Real> numbers);

/// Of activations: f32 scales, or the one that is `given`.
Grid activationGrid(const quant::Format &format, std::span<const Real> numbers,
                    double given = 0);

/// Rounds numbers that go into one sum, `group` of them to a grid. Where many
/// are half way between two codes, as multiples of one number are, all of them
/// go the same way on a device. `sizes` may be null.
template <typename MakeGrid>
void encode(std::span<Real> numbers, int64_t group, double *sizes,
            MakeGrid makeGrid) {
  std::vector<Grid::Number> all;
  double ties = 0;
  for (size_t begin = 0; begin < numbers.size(); begin += size_t(group)) {
    auto run = numbers.subspan(begin, size_t(group));
    Grid grid = makeGrid(run);
    for (const Real &x : run) {
      all.push_back(grid(x));
      ties += all.back().tied;
    }
  }
  for (size_t i = 0; i < numbers.size(); ++i) {
    numbers[i] = all[i].real;
    numbers[i].add(all[i].other * (all[i].tied ? std::sqrt(ties) : 1));
    if (sizes)
      sizes[i] = all[i].size;
  }
}

/// In f16, bf16 or f32, as a cache keeps it.
Real stored(Real x, quant::ElementType type);

} // namespace qopt::programs

#endif // QOPT_TEST_RANDOM_CODES_H
