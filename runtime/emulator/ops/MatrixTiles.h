// The tile products that kernels spend their time in, compiled for the vectors
// that the processor has. The results are those of numerics/MatrixProduct.h,
// bit for bit.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_OPS_MATRIXTILES_H
#define QOPT_RUNTIME_EMULATOR_OPS_MATRIXTILES_H

#include <cstdint>

namespace qopt::emulator {

/// d = a · b + c: a is 16 × 16, b 16 × 8, c and d 16 × 8, row by row; d may be
/// c. Codes of f16 or bf16.
using TileProduct = void (*)(const uint16_t *a, const uint16_t *b,
                             const float *c, float *d);

struct TileProducts {
  TileProduct half;
  TileProduct bfloat;
};

/// Those for this processor, chosen once.
const TileProducts &tileProducts();

/// For processors with AVX2 and FMA, and for those with AVX-512; null pointers
/// where the compiler's target is another.
TileProducts tileProductsAvx2();
TileProducts tileProductsAvx512();

} // namespace qopt::emulator

#endif // QOPT_RUNTIME_EMULATOR_OPS_MATRIXTILES_H
