// Sine and cosine of the angles of rotary embeddings.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_BUILDER_ANGLES_H
#define QOPT_LIB_KERNELS_BUILDER_ANGLES_H

#include "lib/Kernels/Builder/Elements.h"

namespace qopt::kernels {

struct Rotation {
  Real cosine, sine;
};

/// Of position · inverseFrequency, times `scale`. The product and its reduction
/// to a quarter of a turn are done in f64, so that the error stays below 1e-6
/// for positions up to a million, as on the host.
Rotation rotationOf(Int position, Real inverseFrequency, float scale);

} // namespace qopt::kernels

#endif // QOPT_LIB_KERNELS_BUILDER_ANGLES_H
