// The linear layer of a mixture's expert: of all tokens it computes those that
// take the expert, as one product, and of a weight that none takes it reads
// nothing.
//
//   share  .3  0  0  .7        x   a b c d       gathered  a d
//                                                    │ linear
//   output y(a) 0 0 y(d)   ◄── scattered from behind ┘ y(a) y(d) · ·
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_HOST_ROUTEDLINEAR_H
#define QOPT_RUNTIME_HOST_ROUTEDLINEAR_H

#include "runtime/host/Linear.h"

namespace qopt::host {

struct RoutedLinearArguments {
  LinearArguments linear;       ///< of all rows, without residual and order
  const float *share = nullptr; ///< [M], `shareStride` elements apart
  int64_t shareStride = 1;
  /// As large as all rows of the input without gaps: what may be overwritten.
  void *gathered = nullptr;
};

/// Computes the rows whose share is not 0; all others of the output become 0.
void routedLinear(const RoutedLinearArguments &arguments, ThreadPool &pool);

} // namespace qopt::host

#endif // QOPT_RUNTIME_HOST_ROUTEDLINEAR_H
