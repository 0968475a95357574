// 64-bit values: unsigned integers and f64, for the few places where 32 bits
// are too few.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_BUILDER_WIDE_H
#define QOPT_LIB_KERNELS_BUILDER_WIDE_H

#include "lib/Kernels/Builder/Elements.h"

namespace qopt::kernels {

/// i64, unsigned.
struct Long : Scalar {};
/// f64.
struct Double : Scalar {};

Long longConstant(Kernel &kernel, uint64_t value);
Long join(Int low, Int high);
Long widen(Int value); ///< unsigned
Int lowWord(Long value);
Int highWord(Long value);
Long operator+(Long a, Long b);
Long operator-(Long a, Long b);
Long operator*(Long a, Long b);
Long operator/(Long a, Long b);
Long operator>>(Long a, int64_t bits);
Flag operator<(Long a, Long b);
Long min(Long a, Long b);
Long max(Long a, Long b);
Long select(Flag condition, Long a, Long b);

Double doubleConstant(Kernel &kernel, double value);
Double widen(Real value);
Double toDouble(Int value); ///< unsigned
Double toDouble(Long value);
Real narrow(Double value);
Int toInt(Double value);   ///< unsigned, towards zero
Long toLong(Double value); ///< towards zero
Double operator+(Double a, Double b);
Double operator-(Double a, Double b);
Double operator*(Double a, Double b);
Double operator/(Double a, Double b);
Flag operator<(Double a, Double b);
Double select(Flag condition, Double a, Double b);
Double exponential(Double x); ///< as the host's
Double ceiling(Double x);
Double floor(Double x);

/// The value of lane − distance; of the lane itself where there is none.
Long fromLaneBelow(Kernel &kernel, Long value, int distance);
Long fromLane(Kernel &kernel, Long value, int lane);

Long loadSharedLong(Kernel &kernel, Int address, int64_t offset);
void storeSharedLong(Kernel &kernel, Int address, int64_t offset, Long value);
/// memory += value, as one access of the block.
void addShared(Kernel &kernel, Int address, Long value);
/// The same of 32 bits; returns what was there.
Int addShared(Kernel &kernel, Int address, Int value);

} // namespace qopt::kernels

#endif // QOPT_LIB_KERNELS_BUILDER_WIDE_H
