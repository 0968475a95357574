// fp8 in registers: from codes of e4m3 and e5m2 to f16, bf16 and f32, and from
// f32 to codes of e4m3, with the bits of lib/Quant/FloatConversion.h but for
// NaN. Where an architecture has no conversion, integer operations do it, to
// the same bits.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_BUILDER_FP8_H
#define QOPT_LIB_KERNELS_BUILDER_FP8_H

#include "lib/Kernels/Builder/Kernel.h"
#include "lib/Quant/Format.h"

namespace qopt::kernels {

/// Which bytes of a word become one register of two halves.
enum class BytePairs : uint8_t {
  Neighbours, ///< 0 and 1; 2 and 3
  EveryOther, ///< 0 and 2; 1 and 3
};

/// The four codes of a word as f16 or bf16.
std::array<Int, 2> unpackE4m3(Kernel &kernel, Int word, mlir::Type type,
                              BytePairs pairs);
/// The same of either type of codes.
std::array<Int, 2> unpackFp8(Kernel &kernel, Int word,
                             quant::ElementType element, mlir::Type type,
                             BytePairs pairs);

/// The value of a code of either type; the word's other bits are zero.
Real fp8ToReal(Int code, quant::ElementType element);
Real e4m3ToReal(Int code);

/// The codes of two values, the first one's in the lowest byte: to nearest,
/// ties to even, what is larger than 448 saturated.
Int packE4m3(Real first, Real second);

} // namespace qopt::kernels

#endif // QOPT_LIB_KERNELS_BUILDER_FP8_H
