// The products of fragments that kernels spend their time in, compiled for the
// vectors that the processor has. The results are those of
// numerics/MatrixProduct.h, bit for bit.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_OPS_MATRIXTILES_H
#define QOPT_RUNTIME_EMULATOR_OPS_MATRIXTILES_H

#include <cstdint>

namespace qopt::emulator {

/// numerics::multiplyFragments of f16 or bf16, K = 16, with accumulators of
/// f32.
using FragmentProduct = void (*)(const uint32_t *const *sources,
                                 uint32_t *const *results);
/// numerics::multiplyIntegerFragments of signed bytes, K = 32.
using IntegerProduct = void (*)(const uint32_t *const *sources,
                                uint32_t *const *results, bool saturating);

struct FragmentProducts {
  FragmentProduct half = nullptr;
  FragmentProduct bfloat = nullptr;
  IntegerProduct bytes = nullptr;
};

/// Those for this processor, chosen once.
const FragmentProducts &fragmentProducts();

/// For processors with AVX2 and FMA, and for those with AVX-512; null pointers
/// where the compiler's target is another.
FragmentProducts fragmentProductsAvx2();
FragmentProducts fragmentProductsAvx512();

} // namespace qopt::emulator

#endif // QOPT_RUNTIME_EMULATOR_OPS_MATRIXTILES_H
