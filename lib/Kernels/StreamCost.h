// What a kernel is predicted to take that reads and writes memory once and
// computes next to nothing: norms, gathers, elementwise work.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_STREAMCOST_H
#define QOPT_LIB_KERNELS_STREAMCOST_H

#include "lib/Kernels/RowShape.h"

#include <string>
#include <vector>

namespace qopt::kernels {

struct StreamTraffic {
  int64_t read = 0, written = 0; ///< bytes
  int64_t blocks = 1;
  int64_t passes = 1; ///< over the data, one after the other
};

struct StreamTerm {
  std::string_view name;
  double seconds;
  std::string why;
};

struct StreamCost {
  StreamTraffic traffic;
  std::vector<StreamTerm> terms;
  double seconds = 0;  ///< their sum
  double roofPart = 0; ///< seconds of the traffic at the roof / seconds
};

StreamCost streamCostOf(const StreamTraffic &traffic,
                        const target::Target &target);

/// Shared memory that `count` reductions over a row need.
int64_t reductionBytes(const RowShape &shape, int count);

} // namespace qopt::kernels

#endif // QOPT_LIB_KERNELS_STREAMCOST_H
