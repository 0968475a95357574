// The activation functions that kernels compute, alone or in an epilogue.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_FUNCTION_H
#define QOPT_LIB_KERNELS_FUNCTION_H

#include <cstdint>
#include <string_view>

namespace qopt::kernels {

enum class Function : uint8_t {
  Silu,      ///< x · σ(x)
  GeluErf,   ///< x/2 · (1 + erf(x/√2))
  GeluTanh,  ///< x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³)))
  GeluQuick, ///< x · σ(1.702 x)
  Relu,
  Tanh,
  Sigmoid,
};

/// As in a kernel's name: "gelu_erf".
std::string_view nameOf(Function function);

} // namespace qopt::kernels

#endif // QOPT_LIB_KERNELS_FUNCTION_H
