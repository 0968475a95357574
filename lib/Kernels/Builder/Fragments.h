// What warps do that stream tiles for themselves: asynchronous copies in
// groups, matrices of 8 × 8 halves from shared memory into the registers of a
// product, and the approximations that a softmax needs.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_BUILDER_FRAGMENTS_H
#define QOPT_LIB_KERNELS_BUILDER_FRAGMENTS_H

#include "lib/Kernels/Builder/Elements.h"

namespace qopt::kernels {

// Asynchronous copies of a thread. --------------------------------------------

/// Starts a copy of `bytes` (4, 8 or 16) to shared memory; what lies beyond the
/// first `present` bytes is zero and not read.
void copyAsync(Int destination, Global source, Int present, unsigned bytes);
/// Ends a group: the copies that the thread has started since the last one.
void commitCopies(Kernel &kernel);
/// Waits until at most `pending` groups of the thread are not done.
void waitForCopies(Kernel &kernel, unsigned pending);

// Fragments. ------------------------------------------------------------------

/// `count` (1, 2, 4) matrices of 8 × 8 halves, transposed: lane 4g+t gets of
/// each the rows 2t and 2t+1 of column g. Lane i has the address of row i%8 of
/// matrix i/8.
std::vector<Int> loadTransposed(Int address, unsigned count);

/// a · b + c on two halves.
Int fmaHalves(Int a, double b, double c, mlir::Type type);

// Numbers. --------------------------------------------------------------------

/// The larger of the lane's and that of lane ^ distance.
Real maxFromLane(Real value, int distance);
Flag operator<(Real a, Real b);

/// Index of the block along y and z, and the number of blocks along x and y.
Int blockY(Kernel &kernel);
Int blockZ(Kernel &kernel);
Int blocksX(Kernel &kernel);
Int blocksY(Kernel &kernel);

} // namespace qopt::kernels

#endif // QOPT_LIB_KERNELS_BUILDER_FRAGMENTS_H
