// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/ops/MatrixTiles.h"

#include "runtime/emulator/numerics/MatrixProduct.h"

namespace qopt::emulator {

const TileProducts &tileProducts() {
  static const TileProducts products = [] {
    TileProducts chosen = {&numerics::multiplyTile<numerics::Float16, 16>,
                           &numerics::multiplyTile<numerics::Bfloat16, 16>};
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
      chosen = tileProductsAvx2();
    if (__builtin_cpu_supports("x86-64-v4"))
      chosen = tileProductsAvx512();
#endif
    return chosen;
  }();
  return products;
}

} // namespace qopt::emulator
