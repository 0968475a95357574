// What a launch is predicted to take: a sum of terms, each with the figure of
// lib/Target that it rests on. Every family has a costOf whose result is such a
// sum and more; arithmetic only, nothing is measured here.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_COST_H
#define QOPT_LIB_KERNELS_COST_H

#include "lib/Target/Magnitude.h"
#include "lib/Target/Target.h"

#include <string>
#include <vector>

namespace qopt::kernels {

/// One summand of a prediction and where its figure comes from.
struct CostTerm {
  std::string_view name;
  double seconds;
  std::string why;
};

struct Estimate {
  std::vector<CostTerm> terms;
  double seconds = 0;  ///< their sum
  double roofPart = 0; ///< seconds that what must be read takes at the roof,
                       ///< as a part of `seconds`

  void add(std::string_view name, double seconds, std::string why) {
    terms.push_back({name, seconds, std::move(why)});
    this->seconds += seconds;
  }
};

using target::spellNumber;
/// "13.0 MB"
inline std::string spellBytes(double bytes) {
  return target::spellQuantity(bytes, "B");
}

/// "stream bandwidth (measured: bulk copies of …)"
inline std::string spell(const target::Figure &figure, std::string_view what) {
  return std::string(what) + " (" + std::string(target::spell(figure.basis)) +
         ": " + std::string(figure.source) + ")";
}

/// Seconds that the tensor cores of all SMs need for products by mma.sync, of
/// halves or, twice as many an instruction, of bytes.
inline double mmaSeconds(double flops, double flopsOfMma,
                         const target::Target &target) {
  constexpr double quarters = 4; // of an SM, a tensor core each
  return flops / flopsOfMma * target.rates.mmaClocks.value /
         (quarters * target.multiprocessors * target.rates.clock.value);
}
/// What main loops of products cost that do not wait for memory, fitted to
/// launches of gemm on an H200: clocks of an SM's quarter for an instruction,
/// products of other warps notwithstanding, and of a step beyond that, its
/// barrier and its waits.
constexpr double issueClocks = 0.9, stepClocks = 210;

/// The clock of a launch whose products take so long at the full one: long ones
/// run at what the power limit leaves.
inline const target::Figure &clockOf(double seconds,
                                     const target::Target &target) {
  constexpr double longSeconds = 100e-6;
  return seconds > longSeconds ? target.rates.powerClock : target.rates.clock;
}

constexpr double flopsOfHalfMma = 2 * 16 * 8 * 16,
                 flopsOfByteMma = 2 * 16 * 8 * 32;

} // namespace qopt::kernels

#endif // QOPT_LIB_KERNELS_COST_H
