// What a launch is predicted to take: a sum of terms, each with the figure of
// lib/Target that it rests on. Every family has a costOf whose result is such a
// sum and more; arithmetic only, nothing is measured here.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_COST_H
#define QOPT_LIB_KERNELS_COST_H

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

/// "stream bandwidth (measured: bulk copies of …)"
inline std::string spell(const target::Figure &figure, std::string_view what) {
  return std::string(what) + " (" + std::string(target::spell(figure.basis)) +
         ": " + std::string(figure.source) + ")";
}

} // namespace qopt::kernels

#endif // QOPT_LIB_KERNELS_COST_H
