// What a kernel is predicted to take that reads and writes memory once and
// computes next to nothing: norms, gathers, elementwise work.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_STREAMCOST_H
#define QOPT_LIB_KERNELS_STREAMCOST_H

#include "lib/Kernels/Cost.h"
#include "lib/Kernels/RowShape.h"

namespace qopt::kernels {

struct StreamTraffic {
  int64_t read = 0, written = 0; ///< bytes
  int64_t blocks = 1;
  int64_t passes = 1; ///< over the data, one after the other
};

struct StreamCost : Estimate {
  StreamTraffic traffic;

  int64_t bytes() const {
    return (traffic.read + traffic.written) * traffic.passes;
  }
  double flops() const { return 0; } ///< next to none
  /// A term behind those of streamCostOf: work that the bytes do not hide.
  void addBeside(std::string_view name, double seconds, std::string why);
};

StreamCost streamCostOf(const StreamTraffic &traffic,
                        const target::Target &target);

/// Shared memory that `count` reductions over a row need.
int64_t reductionBytes(const RowShape &shape, int count);

} // namespace qopt::kernels

#endif // QOPT_LIB_KERNELS_STREAMCOST_H
