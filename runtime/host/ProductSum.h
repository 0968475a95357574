// Sums of products as a tensor core of Hopper makes them, one element at a
// time: Σ a[i] · b[i] + c of one instruction is one sum without an order.
//
// Products are exact. They and c are aligned to the largest exponent among
// them; what lies below 25 fraction bits of it is cut off, toward zero; the sum
// is exact and cut to f32, toward zero (Fasi, Higham, Mikaitis and Pranesh,
// "Numerical behavior of NVIDIA tensor cores", 2021; the bits are those of an
// H200). Other architectures keep fewer bits and make several sums of one.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_HOST_PRODUCTSUM_H
#define QOPT_RUNTIME_HOST_PRODUCTSUM_H

#include "lib/Quant/FloatConversion.h"

#include <cstdint>

namespace qopt::host {

/// The least exponent of a normal number of a type of operands.
constexpr int leastExponentOfHalf = -14, leastExponentOfFloat = -126;

/// Σ a[i] · b[i] + c for i below `count` ≤ 32. Operands are numbers of f16
/// (`leastExponent` −14), or of bf16 or tf32 (−126).
float productSum(const float *a, const float *b, int count, int leastExponent,
                 float c);

/// The nearest number of 16 bits, ties to even: of bf16, else of f16.
inline float roundedTo16(float value, bool bf16) {
  return bf16 ? quant::bfloat16ToFloat(quant::floatToBfloat16(value))
              : quant::halfToFloat(quant::floatToHalf(value));
}

/// A number of tf32: the upper 19 bits of a value.
float tf32Of(float value);

} // namespace qopt::host

#endif // QOPT_RUNTIME_HOST_PRODUCTSUM_H
