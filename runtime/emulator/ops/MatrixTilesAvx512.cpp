// The products of fragments once more, with the compiler told that the
// processor has AVX-512 (see CMakeLists.txt).
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
#define numerics numericsAvx512
#define quant quantAvx512
#include "runtime/emulator/numerics/IntegerProduct.h"
#include "runtime/emulator/numerics/MatrixProduct.h"
#undef quant
#undef numerics

#include "runtime/emulator/ops/MatrixTiles.h"

namespace qopt::emulator {

FragmentProducts fragmentProductsAvx512() {
#if defined(__AVX512F__) && defined(__AVX512DQ__)
  return {
      &numericsAvx512::multiplyFragments<numericsAvx512::Float16, 16, float>,
      &numericsAvx512::multiplyFragments<numericsAvx512::Bfloat16, 16, float>,
      &numericsAvx512::multiplyIntegerFragments<int8_t, int8_t, 8, 32>};
#else
  return {};
#endif
}

} // namespace qopt::emulator
