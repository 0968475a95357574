// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/ops/MatrixTiles.h"

#include "runtime/emulator/numerics/IntegerProduct.h"
#include "runtime/emulator/numerics/MatrixProduct.h"

namespace qopt::emulator {

const FragmentProducts &fragmentProducts() {
  static const FragmentProducts products = [] {
    FragmentProducts chosen = {
        &numerics::multiplyFragments<numerics::Float16, 16, float>,
        &numerics::multiplyFragments<numerics::Bfloat16, 16, float>,
        &numerics::multiplyIntegerFragments<int8_t, int8_t, 8, 32>};
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
      chosen = fragmentProductsAvx2();
    if (__builtin_cpu_supports("x86-64-v4"))
      chosen = fragmentProductsAvx512();
#endif
    return chosen;
  }();
  return products;
}

} // namespace qopt::emulator
