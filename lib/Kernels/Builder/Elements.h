// Runs of elements between memory and f32, and the numbers that warps and
// blocks agree on: what kernels need that work on rows without tensor cores.
// A run is a few consecutive elements that one thread holds.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_BUILDER_ELEMENTS_H
#define QOPT_LIB_KERNELS_BUILDER_ELEMENTS_H

#include "lib/Kernels/Builder/Kernel.h"
#include "lib/Quant/Format.h"

namespace qopt::kernels {

using Run = std::vector<Real>;

/// f32, f16 or bf16.
mlir::Type typeOf(Kernel &kernel, quant::ElementType type);

// Memory. ---------------------------------------------------------------------

/// `count` (1, 2, 4 or 8) elements of f32, f16 or bf16, whose address is
/// aligned to all of them or to 16 bytes.
Run loadRun(Kernel &kernel, Global address, mlir::Type type, int count);
/// Rounds to nearest even.
void storeRun(Kernel &kernel, Global address, const Run &run, mlir::Type type);
/// The values that storeRun would leave behind.
Run roundRun(Kernel &kernel, const Run &run, mlir::Type type);

/// The lowest `bytes` (1, 2 or 4) of a word.
Int loadBytes(Kernel &kernel, Global address, int bytes);
void storeBytes(Kernel &kernel, Global address, Int word, int bytes);
/// 1, 2 or 4 words.
void storeWords(Kernel &kernel, Global address, llvm::ArrayRef<Int> words);

// Numbers. --------------------------------------------------------------------

Real max(Real a, Real b);     ///< the other where one is not a number
Real largest(Real a, Real b); ///< not a number where one is not
Real absolute(Real value);
Real operator/(Real a, Real b); ///< rounded correctly
Real select(Flag condition, Real a, Real b);
Flag operator>(Real a, Real b); ///< false where one is not a number
Flag operator==(Real a, Real b);
Flag operator||(Flag a, Flag b);
Flag operator!(Flag a);
Flag belowUnsigned(Int a, Int b);
Real toReal(Int value);                   ///< signed
Int shiftSigned(Int value, int64_t bits); ///< to the right
/// The nearest integer, ties to even; saturated.
Int roundToInt(Real value);
/// What int8 codes of values up to `largest` are worth: largest / 127 and its
/// reciprocal, or 0 where that is none.
struct CodeScale {
  Real step, inverse;
};
CodeScale codeScaleOf(Real largest);
/// `run` · inverse as int8 codes, to the nearest, ties to even; the first in
/// the lowest byte of the first word.
std::vector<Int> encodeRun(Kernel &kernel, const Run &run, Real inverse);
/// 2^x and 1/x by the approximating instructions of f32.
Real exp2(Real x);
Real reciprocal(Real x);

// Warps and blocks. -----------------------------------------------------------

/// The value of lane ^ distance.
Real fromLaneAcross(Kernel &kernel, Real value, int distance);
Int fromLaneAcross(Kernel &kernel, Int value, int distance);

enum class Reduction : uint8_t { Sum, Max, Largest };

/// The same result in all lanes, whatever the lane.
Real reduceWarp(Kernel &kernel, Real value, Reduction reduction);
/// The same over the `warps` warps of a block, in the order of the warps.
/// Reserves the shared memory that it needs.
Real reduceBlock(Kernel &kernel, Real value, Reduction reduction, int warps);
/// Sum over the lanes of a warp.
Int sumWarp(Kernel &kernel, Int value);

} // namespace qopt::kernels

#endif // QOPT_LIB_KERNELS_BUILDER_ELEMENTS_H
