// The arguments of a linear's kernel, the same for skinny_linear and gemm, so
// that one launch of a plan may be of either.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_SKINNYLINEAR_SKINNYLINEARARGUMENTS_H
#define QOPT_LIB_KERNELS_SKINNYLINEAR_SKINNYLINEARARGUMENTS_H

#include "lib/Kernels/RotaryAppend/RotaryAppendBody.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinear.h"

namespace qopt::kernels::skinny_linear {

/// Arguments of a problem's kernel; those that are always there come first.
struct Arguments {
  enum { X, Weights, Y, Workspace, Counters, FirstOptional };
  /// Of codes: their scales; of a model's own, what stands behind that.
  enum { Scales = FirstOptional, Zero, RowSums };
  std::vector<Argument> list;
  unsigned sumNorm; ///< index of the scale of the sum's norm, then its bias
  unsigned residual = 0; ///< of what is added to it; the sum stands behind
  unsigned operands;     ///< of the first operand
  std::optional<rotary_append::Places> append;
  unsigned tokens;

  explicit Arguments(const Problem &problem);
};

/// A sum of products with codes of the model itself as the value of output row
/// `row` with this scale (Codes).
Real centredValue(Kernel &kernel, const Problem &problem, Int sum, Int row,
                  Real scale);

/// What is stored of an element: the region of its sum and its operands, then
/// the problem's steps. `values`: the sum behind a gate, one for each operand.
Real finishElement(Kernel &kernel, const Problem &problem,
                   mlir::Block *epilogue, llvm::ArrayRef<Real> values);

} // namespace qopt::kernels::skinny_linear

#endif // QOPT_LIB_KERNELS_SKINNYLINEAR_SKINNYLINEARARGUMENTS_H
