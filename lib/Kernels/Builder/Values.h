// The typed values that a generator computes with: 32-bit integers (also the
// bits of packed halves), 32-bit floats and truth values. Operators make arith
// operations at the kernel's insertion point; constants fold while building.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_BUILDER_VALUES_H
#define QOPT_LIB_KERNELS_BUILDER_VALUES_H

#include "mlir/IR/Value.h"

#include <cstdint>
#include <optional>

namespace qopt::kernels {

class Kernel;

/// An SSA value and the kernel that it belongs to.
struct Scalar {
  Kernel *kernel = nullptr;
  mlir::Value value;
};

/// i32: a count, an address in shared memory, or packed bits.
struct Int : Scalar {
  /// The value where it is a constant.
  std::optional<int64_t> constant() const;
};
/// f32.
struct Real : Scalar {};
/// i1.
struct Flag : Scalar {};

Int operator+(Int a, Int b);
Int operator-(Int a, Int b);
Int operator*(Int a, Int b);
Int operator/(Int a, Int b); ///< unsigned
Int operator%(Int a, Int b); ///< unsigned
Int operator&(Int a, Int b);
Int operator|(Int a, Int b);
Int operator^(Int a, Int b);
Int operator<<(Int a, Int b);
Int operator>>(Int a, Int b); ///< shifts in zeros
Int operator+(Int a, int64_t b);
Int operator-(Int a, int64_t b);
Int operator*(Int a, int64_t b);
Int operator/(Int a, int64_t b);
Int operator%(Int a, int64_t b);
Int operator&(Int a, int64_t b);
Int operator|(Int a, int64_t b);
Int operator^(Int a, int64_t b);
Int operator<<(Int a, int64_t b);
Int operator>>(Int a, int64_t b);

/// Signed comparisons.
Flag operator<(Int a, Int b);
Flag operator==(Int a, Int b);
Flag operator<(Int a, int64_t b);
Flag operator>=(Int a, int64_t b);
Flag operator==(Int a, int64_t b);
Flag operator&&(Flag a, Flag b); ///< both sides are computed
Int min(Int a, Int b);           ///< signed, as max
Int max(Int a, Int b);
Int select(Flag condition, Int a, Int b);

Real operator+(Real a, Real b);
Real operator-(Real a, Real b);
Real operator*(Real a, Real b);
Real operator*(Real a, double b);
/// a · b + c with one rounding.
Real fma(Real a, Real b, Real c);

} // namespace qopt::kernels

#endif // QOPT_LIB_KERNELS_BUILDER_VALUES_H
