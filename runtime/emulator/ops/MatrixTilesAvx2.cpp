// The products of fragments once more, with the compiler told that the
// processor has AVX2 and FMA (see CMakeLists.txt).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

// The linker keeps one of two equal inline functions: those of this file must
// have names of their own, or other processors would meet their instructions.
#define numerics numericsAvx2
#define quant quantAvx2
#include "runtime/emulator/numerics/IntegerProduct.h"
#include "runtime/emulator/numerics/MatrixProduct.h"
#undef quant
#undef numerics

#include "runtime/emulator/ops/MatrixTiles.h"

namespace qopt::emulator {

FragmentProducts fragmentProductsAvx2() {
#if defined(__AVX2__) && defined(__FMA__)
  return {&numericsAvx2::multiplyFragments<numericsAvx2::Float16, 16, float>,
          &numericsAvx2::multiplyFragments<numericsAvx2::Bfloat16, 16, float>,
          &numericsAvx2::multiplyIntegerFragments<int8_t, int8_t, 8, 32>};
#else
  return {};
#endif
}

} // namespace qopt::emulator
