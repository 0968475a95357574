// Weights that are scaled ahead of their products, rounded to the activations'
// type: all of gemm's, and those of skinny_linear of whose groups a product has
// two. What a weight is then is said in Gemm.h, *Numerics*.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_SKINNYLINEAR_SKINNYLINEARWEIGHTS_H
#define QOPT_LIB_KERNELS_SKINNYLINEAR_SKINNYLINEARWEIGHTS_H

#include "lib/Kernels/SkinnyLinear/SkinnyLinearUnpack.h"

namespace qopt::kernels::skinny_linear {

/// Which of the two groups of 32 columns the lane's are of, where they are two.
Int groupOfLane(Kernel &kernel);

/// Adds to `words` what a plane of scales or zero points in shared memory, at
/// `address` + `offset`, has of rows g and g+8: a word, or two of f32 where it
/// is `wide`.
void loadPlane(std::vector<Int> &words, const quant::Format &format,
               Int address, int64_t offset, bool wide);

/// The weights of a product's numbers, pairs of `activation`. `planes` are the
/// words of the group's scale, its zero point and the unit of scales of two
/// levels, those of them that the format has.
Fragment roundedWeights(Kernel &kernel, const quant::Format &format,
                        mlir::Type activation, const std::vector<Int> &planes,
                        Fragment numbers);

} // namespace qopt::kernels::skinny_linear

#endif // QOPT_LIB_KERNELS_SKINNYLINEAR_SKINNYLINEARWEIGHTS_H
