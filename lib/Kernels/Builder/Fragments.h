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
Int fmaHalves(Int a, Int b, Int c, mlir::Type type);
/// a · b on two halves.
Int mulHalves(Int a, Int b, mlir::Type type);
/// a · b on two halves, and what its rounding leaves.
std::array<Int, 2> exactProduct(Int a, Int b, mlir::Type type);
Int negateHalves(Int a, mlir::Type type);
/// A value in both halves of a word, rounded to `type`.
Int bothHalves(Real value, mlir::Type type);
Int bothHalves(Kernel &kernel, double value, mlir::Type type);

/// What a lane holds of the 16 × 8 i32 result of a product, as Accumulator.
using IntAccumulator = std::array<Int, 4>;
/// mma.m16n8k32 of s8 with i32 sums. Lane 4g+t has four columns of a row in a
/// word: of A (g, 4t…), (g+8, 4t…), (g, 16+4t…), (g+8, 16+4t…), of B (4t…, g),
/// (16+4t…, g).
IntAccumulator mmaInt8(std::array<Int, 4> a, std::array<Int, 2> b,
                       IntAccumulator c);
/// The same with bytes without a sign in B.
IntAccumulator mmaBytes(std::array<Int, 4> a, std::array<Int, 2> b,
                        IntAccumulator c);

/// mma.m16n8k8 of tf32 with f32 sums. Lane 4g+t has of A (g, t), (g+8, t),
/// (g, t+4), (g+8, t+4), of B (t, g), (t+4, g): the upper 19 bits of each.
Accumulator mmaTf32(std::array<Real, 4> a, std::array<Real, 2> b,
                    Accumulator c);
/// The upper 11 bits of a value, a number of tf32, and what is left of it.
std::array<Real, 2> splitTf32(Real value);

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
